"""Files on the wire: pushing, pulling and Git LFS."""
