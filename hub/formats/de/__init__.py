"""Formats on German pages."""
