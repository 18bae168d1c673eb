"""Shapes of the versions of an adapter: verdicts, names, releases, locks and what is kept."""
