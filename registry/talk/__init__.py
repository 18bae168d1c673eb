"""Telling people and programs: alerts, mail, the feed of changes, likes."""
