"""Other hubs on the website: how long the one of a repository has not answered."""

from collections.abc import Mapping
from typing import Any

from features.upstream import asking
from hub.site.panels import Pages, Panel


def _silence(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    since = asking.silent_since(page["header"].repository.source)
    return {"since": since} if since else None


PAGES = Pages(panels=(Panel("source", "upstream/silence.html", _silence),))
