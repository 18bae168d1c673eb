"""Products of the hub: derived versions, other forms of a file."""
