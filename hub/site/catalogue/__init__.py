"""Lists: the catalogue, base models, feeds and kept searches."""
