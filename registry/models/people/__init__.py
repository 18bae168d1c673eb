"""People, organisations, their names, tokens and invitations."""
