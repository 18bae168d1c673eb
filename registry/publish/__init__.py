"""Changing repositories: creation, uploads, pushes, discussions, merges, moves."""
