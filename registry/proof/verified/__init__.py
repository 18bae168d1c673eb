"""Which versions are good: `verified` and aliases, regressions, holds and yanks."""
