"""Webhooks: messages to people's own addresses when something happens."""
