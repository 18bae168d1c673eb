"""Work that no verdict waits for: scans, digests, chunks, layers, comparisons."""
