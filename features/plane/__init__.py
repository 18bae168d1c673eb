"""The read plane: signed documents in the store, by which pulls go on while the hub is down (docs/decisions/14)."""
