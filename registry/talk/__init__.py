"""Telling people and programs: dispatched events, the feed of changes, letters."""
