"""The files on this machine: how they come here, and the caches that keep them."""
