"""The only code that opens strangers' weights; it knows nothing of Django, the queue, the store or the network."""
