"""Texts with a form of their own: names, ids, cursors, versions, links, sizes, Markdown and YAML."""
