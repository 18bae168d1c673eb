"""Searches of the catalogue that people keep under a name, each with its list and its feed."""
