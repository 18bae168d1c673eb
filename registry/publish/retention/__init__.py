"""Retention: its rules, the bin, archives, deleted accounts."""
