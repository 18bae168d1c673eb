"""SQL beside the ORM: queries that are compiled once, counts kept by triggers, the schema, the clock's lease."""
