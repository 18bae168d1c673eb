"""Repositories with their versions and files, and what lists read of them."""
