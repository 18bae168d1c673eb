"""Schema history of the registry."""
