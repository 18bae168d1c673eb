"""Tries: an adapter and its base answer a visitor's own text, side by side."""
