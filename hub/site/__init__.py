"""The website, rendered on the server."""
