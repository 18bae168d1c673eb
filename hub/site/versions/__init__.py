"""The versions of a repository: their list, aliases and releases, what was derived, how two differ."""
