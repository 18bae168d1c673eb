"""Holding repositories and revisions back, and releasing them."""
