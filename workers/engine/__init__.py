"""The only code that opens uploaded weights; it imports neither Django nor the queue, the store or the network."""
