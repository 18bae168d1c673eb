"""People and organisations on the wire: accounts, tokens, likes, gates."""
