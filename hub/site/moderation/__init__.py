"""The pages of moderators, below /moderation; for everybody else they do not exist."""
