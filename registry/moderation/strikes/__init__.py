"""Sanctions against a person: strikes, suspension, appeals."""
