"""Fit without weights."""
