"""Searches a hub: pages of adapters until enough are there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from dovetail.answers.adapters import AdapterDetail
from dovetail.answers.record import Page
from dovetail.base.problems import no_hub

if TYPE_CHECKING:
    from dovetail.api.connection import Connection

LARGEST_PAGE = 100
Filters = Mapping[str, str | int | list[str] | None]


def search(caller: "Connection", filters: Filters, limit: int) -> tuple[list[AdapterDetail], bool]:
    """Return at most `limit` adapters, and whether the hub has more. Values of one filter are alternatives."""
    query = {name: value for name, value in filters.items() if value not in (None, "", [])}
    items: list[AdapterDetail] = []
    cursor = ""
    while True:
        size = min(LARGEST_PAGE, limit - len(items))
        asked = {**query, "limit": size, **({"cursor": cursor} if cursor else {})}
        page = caller.transport.get(f"/adapters?{urlencode(asked, doseq=True)}", Page[AdapterDetail])
        items += page.items[:size]
        following = next_cursor(page.next)
        if not following or len(items) >= limit:
            return items, bool(following)
        if following == cursor or not page.items:
            raise no_hub(caller.endpoint)  # a page that leads to itself would be read forever
        cursor = following


def next_cursor(address: str | None) -> str:
    """Return the cursor of a next page, of whose address nothing else counts."""
    return parse_qs(urlsplit(address or "").query).get("cursor", [""])[0]
