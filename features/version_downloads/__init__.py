"""The downloads of each version by day, as a plot on the page of versions."""
