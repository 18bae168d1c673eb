"""Content-addressed bytes: blobs, xorbs, intake, chunking, backup, garbage collection."""
