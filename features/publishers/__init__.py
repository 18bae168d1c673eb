"""Trusted publishers: CI jobs that push without a secret, by the identity tokens of their CI system (RFC 8693)."""
