"""How long something is kept: rules of retention, the bin, archives, deleted accounts."""
