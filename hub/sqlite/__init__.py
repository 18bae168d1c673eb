"""Django's backend for SQLite, which turns the text of a query it has seen before at once (base.py)."""
