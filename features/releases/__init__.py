"""Releases: tags that are semantic versions, with a title and notes."""
