"""Moving repositories between hubs, registries and folders, with their history and their names."""
