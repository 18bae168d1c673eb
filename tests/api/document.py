"""The shapes of our REST, as its views say them."""

from functools import cache
from typing import Any

from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document that is made from the views."""
    ours = [path("api/v1/", include("hub.api.urls"))]
    made: dict[str, Any] = SchemaGenerator(patterns=ours).get_schema(request=None, public=True)
    return made
