"""The pages about the hub itself: front page, status, transparency, and what crawlers read."""
