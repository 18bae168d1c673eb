"""Base models on a worker: the base cache, where its files come from, and norms."""
