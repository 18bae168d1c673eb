"""The bytes of the hub in a bucket of any S3 service; without it they are in a folder."""
