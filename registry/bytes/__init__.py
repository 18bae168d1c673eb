"""Content-addressed bytes: blobs, intake, garbage collection."""
