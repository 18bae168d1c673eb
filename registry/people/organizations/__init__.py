"""Organisations: their administrators, members, teams and invitations."""
