"""What operators see of a running hub: health, metrics, logs and reports of errors."""
