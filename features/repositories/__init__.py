"""Repositories over REST: creating, changing and deleting them, their branches and tags, and commits of small files."""
