"""Links of an organisation, by which people become members, with an account or a new one."""
