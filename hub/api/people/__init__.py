"""Views of accounts and organisations: tokens, teams, robots, limits, and what people follow."""
