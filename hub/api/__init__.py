"""Our own REST interface, version 1."""
