"""The judge of the wire: huggingface_hub's own tests, unmodified, on a hub with a worker: python -m tests.hub_suite."""
