"""Slow and dangerous work. The rules about what may happen to a verdict are in `registry`."""
