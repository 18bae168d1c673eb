"""Views of accounts and organisations: tokens, teams and limits."""
