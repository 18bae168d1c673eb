"""Discussions and pull requests: their threads, entries and references."""
