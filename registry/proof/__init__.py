"""Verdicts and their queue, provenance, renewal, fit against known bases."""
