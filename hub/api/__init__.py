"""Our own REST, version 1: parses, asks the registry, answers; no rule lives here."""
