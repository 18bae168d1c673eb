"""Discussions and pull requests of a repository: their threads, merges, pages and the Hub's routes of them."""
