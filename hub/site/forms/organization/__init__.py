"""Forms of organisations."""
