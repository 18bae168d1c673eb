"""Commands of the hands."""
