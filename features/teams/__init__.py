"""Pages and REST of an organisation's teams, which a directory and an operator's file change, too."""
