"""Pull requests that repair an adapter: its config, its weights, or private data in its files."""
