"""Lists: the catalogue, base models, leaderboards, collections, feeds and kept searches."""
