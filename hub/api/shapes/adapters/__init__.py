"""Shapes of adapters: searching, comparing, fitting, trying, and what is made of them."""
