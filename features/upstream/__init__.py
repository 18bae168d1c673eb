"""Reading repositories of other hubs through this one: asking, caching, and proving what came."""
