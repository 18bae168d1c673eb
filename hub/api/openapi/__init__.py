"""The OpenAPI document: what the views do not say by themselves, and what will go away."""
