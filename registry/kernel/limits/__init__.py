"""Limits: quotas of bytes, the time of a query, the threads of a process."""
