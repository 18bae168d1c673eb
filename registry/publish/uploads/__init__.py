"""Files before they are committed: planned, offered and examined."""
