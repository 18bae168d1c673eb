"""The pages of one repository, what all of them share, and its settings."""
