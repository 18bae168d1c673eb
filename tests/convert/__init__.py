"""Conversions and merges of adapters, and the libraries that read their results."""
