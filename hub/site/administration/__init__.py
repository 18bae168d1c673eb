"""The pages of those who run the hub: rules, limits, tokens of the directory, invitations, the log."""
