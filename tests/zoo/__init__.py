"""Adapters as strangers make them, with the real libraries, and what each must be told; nothing of it is Dovetail's."""
