"""The pages of those who run the hub: raw tables at /admin, switches and banner, names, limits of one owner."""
