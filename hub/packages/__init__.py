"""The client of this hub as a Python package that pip installs from here."""
