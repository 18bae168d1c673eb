"""REST described by itself: the OpenAPI document, and a page of all its routes."""
