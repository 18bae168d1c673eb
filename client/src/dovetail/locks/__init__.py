"""Locks in use: made from a hub, followed, and folders made equal to them."""
