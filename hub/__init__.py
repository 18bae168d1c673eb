"""The HTTP layer: parses requests, asks the domain (registry), and writes answers. No rule is decided here."""
