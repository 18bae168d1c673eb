"""The heart: what things are, and what may be done with them. Knows neither HTTP nor torch."""
