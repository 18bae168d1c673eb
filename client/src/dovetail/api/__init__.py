"""A hub in Python: the methods of a client, and what they ask and send."""
