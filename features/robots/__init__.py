"""Robots: accounts of an organisation for machines, which act by tokens that its administrators make."""
