"""Ids, names, refusals, permissions, quotas, site settings: the rules that every room stands on."""
