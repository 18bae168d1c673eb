"""Verdicts, and what was measured beside them."""
