"""Joining, signing in and out, and proving it again: by password, allauth or an identity provider."""
