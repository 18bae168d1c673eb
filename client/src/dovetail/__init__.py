"""Dovetail on the command line and in Python; what a hub knows and decides lives on the hub, not here."""
