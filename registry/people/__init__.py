"""Accounts, organisations, invitations, tokens, gates, and provisioning from a file."""
