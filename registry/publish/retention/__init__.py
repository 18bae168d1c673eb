"""The bin, archives, deleted accounts."""
