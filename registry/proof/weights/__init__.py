"""Measurements of weights: passports, norms, sums of two, and weights that were withdrawn."""
