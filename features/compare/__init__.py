"""Adapters side by side: leaderboards of what was measured, and previews of a merge of two."""
