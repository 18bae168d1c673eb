"""Telling people and programs: alerts, mail, webhooks, the feed of changes, collections, likes."""
