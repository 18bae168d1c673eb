"""Views of the versions of an adapter: verdicts, names and locks."""
