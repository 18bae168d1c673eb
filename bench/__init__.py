"""Benchmarks of a whole hub on real weights; `python -m bench` runs all of them."""
