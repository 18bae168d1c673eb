"""The pages about the hub itself: front page, status, and what crawlers read."""
