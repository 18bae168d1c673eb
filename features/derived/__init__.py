"""Derived versions: the same adapter in another form, merges of several, and the lineage of both."""
