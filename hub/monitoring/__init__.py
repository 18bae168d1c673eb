"""Monitoring of a running hub: health, metrics, logs and reports of errors."""
