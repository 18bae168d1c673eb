"""The documentation as pages, with their search."""
