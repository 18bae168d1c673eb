"""The ways by which bytes are read: tickets, Xet; and their counts."""
