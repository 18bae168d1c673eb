"""The commands and programs by which people use a version, one tool a page, and what became of them in an engine."""
