"""Outbound traffic: calls to addresses that strangers name, and traces of requests."""
