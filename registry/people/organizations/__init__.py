"""Organisations: their administrators, members, teams, robots and invitations."""
