"""SCIM 2.0: a directory adds people and teams to a hub, and ends their access."""
