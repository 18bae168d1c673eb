"""The judge of the wire: huggingface_hub's own tests, unmodified, run against a hub: `python -m tests.hub_suite`."""
