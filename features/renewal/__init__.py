"""Verdicts proven again, in time, after libraries, checks, rules or bases changed; and what became of them."""
