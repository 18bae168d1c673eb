"""Tokens, and the programs and machines that get one."""
