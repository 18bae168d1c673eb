"""Tensors that an adapter needs on a base and those that it has, their values, and the statements of trainers."""
