"""The only code that opens uploaded weights; it knows nothing of Django, the queue, the store or the network."""
