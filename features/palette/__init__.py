"""Suggestions below the search field, and on Ctrl-K: adapters, bases, people, pages and deeds by their names."""
