"""The road from a hub into serving engines: how each is started with one version of an adapter, and what it reads."""
