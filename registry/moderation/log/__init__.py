"""The audit log: reading, verifying and cutting it."""
