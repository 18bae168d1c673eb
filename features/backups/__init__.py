"""Backups: a dump of the database and copies of the bytes, and a hub that is made of them again."""
