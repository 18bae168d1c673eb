"""Adapters and versions side by side: comparisons, leaderboards of what was measured, previews of a merge of two."""
