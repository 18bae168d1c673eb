"""The versions that are good: `verified` and aliases, regressions, holds and yanks."""
