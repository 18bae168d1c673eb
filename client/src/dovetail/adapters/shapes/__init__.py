"""Which tensors an adapter needs on a base and which it has, what their values are, what trainers state."""
