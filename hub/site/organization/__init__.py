"""The pages of people and organisations, and what administrators of one change."""
