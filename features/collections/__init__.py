"""Titled lists of repositories and of other lists, which people make and order."""
