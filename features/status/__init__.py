"""The page for people that says which parts of the hub work."""
