"""Formats: the layout of a set of files, and the meaning of names of bases, licenses, tokens and architectures."""
