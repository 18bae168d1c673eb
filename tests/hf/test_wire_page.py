"""docs/wire.md has a heading for every route of the wire table, and for none that is gone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.urls import URLResolver

import features
from hub.hf import urls
from tests.test_docs import headings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wire.md"
SPELLED = {"<str:ns>/<str:name>": "{id}", "<path:tail>": "{rev}/{path}"}


def routes(patterns: list, prefix: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        elif not str(one.pattern).startswith("^"):
            yield prefix + str(one.pattern)


def spelled(route: str) -> str:
    for ours, theirs in SPELLED.items():
        route = route.replace(ours, theirs)
    return "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)


def test_every_route_has_its_heading_and_no_heading_outlives_its_route():
    of_features = [route for more in features.parts("WIRE", list, "wire") for route in routes(more)]
    ours = [*routes(urls.urlpatterns), *(route for route in of_features if route.startswith(("api/", "oauth/")))]
    served = {spelled(route) for route in ours}
    others = {route for route in served if "datasets" in route or "spaces" in route}
    assert {re.sub("/api/(datasets|spaces)", "/api/models", route) for route in others if "/api/" in route} <= served
    assert {re.sub("^/(datasets|spaces)/", "/", route) for route in others if "/api/" not in route} <= served
    assert headings("wire.md") == served - others - {"/{name}/resolve/{rest}"}


def test_every_sentence_of_what_is_not_served_is_on_the_page():
    listed = set(re.findall(r"^- (.+)$", PAGE.read_text().partition("## Known and not served")[2], re.MULTILINE))
    refused: list[Any] = [*urls.UNSERVED, *urls.UNSERVED_ELSEWHERE]
    assert listed == {one.callback.view_initkwargs["sentence"] for one in refused}
