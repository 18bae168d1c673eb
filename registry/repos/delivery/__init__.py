"""The ways by which bytes are read: tickets, Xet, keys of S3, images of OCI; and their counts."""
