"""What the hub makes of versions: derived ones, other forms of a file, repairs."""
