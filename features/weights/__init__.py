"""Weights, measured: norms and ranks, their shares of the base's norms, and who else holds nearly the same."""
