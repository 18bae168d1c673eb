"""Django's backend for SQLite with a cache of converted query texts (base.py)."""
