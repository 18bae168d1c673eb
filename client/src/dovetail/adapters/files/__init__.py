"""How one file is read, strictly and in bounds."""
