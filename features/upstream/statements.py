"""Statements of another hub about a repository: its refs, its history, and the commits that changed files last."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from features.upstream import asking, documents, origins, trees
from features.upstream.errors import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from features.upstream.reading import JSON, Version, is_commit, moment

PATHS = 1000  # that a hub is asked about at once
MAX_CHANGES = 5000  # that are kept of one commit


def list_refs(row: UpstreamRepository, *, with_pull_requests: bool) -> JSON:
    """Return branches, tags and the rest as the hub states them. Raises UpstreamUnavailable, UpstreamWrong."""
    query = "?include_prs=1" if with_pull_requests else ""

    def fetch() -> JSON:
        reply = origins.ask(row, f"/refs{query}")
        if reply.status != 200 or not isinstance(reply.value, dict):
            raise UpstreamWrong(f"{row.origin} does not list the refs of {row.full_name}.")
        return dict(reply.value)

    return dict(documents.passing(row, documents.key_of("refs", query), fetch))


def commits(at: Version, query: dict[str, str]) -> tuple[list[JSON], dict[str, str]]:
    """Return a page of the history as the hub states it, and the parameters of the next. Raises as above."""
    row = at.repository

    def fetch() -> list[Any]:
        reply = origins.ask(row, f"/commits/{at.oid}?{urlencode(query)}")
        if reply.status != 200 or not isinstance(reply.value, list):
            raise UpstreamWrong(f"{row.origin} does not list the commits of {row.full_name}.")
        return [reply.value, reply.link]

    items, link = documents.passing(row, documents.key_of("commits", at.oid, urlencode(query)), fetch)
    return items, trees.next_page(link)


def last_changes(row: UpstreamRepository, oid: str, paths: Iterable[str]) -> dict[str, JSON]:
    """Return for each path the commit that changed it last, as the hub states it; paths without one are left out.

    Its answers are kept; while it cannot be asked, those are all.
    """
    key = documents.key_of("changes", oid)
    known: dict[str, JSON] = documents.stored(row, key) or {}
    unknown = [path for path in paths if path not in known][:PATHS]
    if not unknown or not origins.may_ask():
        return known
    try:
        with asking.impatiently():
            reply = origins.ask(row, f"/paths-info/{oid}", {"paths": unknown, "expand": True})
    except (UpstreamUnavailable, UpstreamWrong):
        return known
    items = reply.value if reply.status == 200 and isinstance(reply.value, list) else []
    stated = {item["path"]: _change(item) for item in items if isinstance(item, dict) and item.get("path") in unknown}
    known |= {path: change for path, change in stated.items() if change}
    if stated and len(known) <= MAX_CHANGES:
        documents.store(row, key, known)
    return known


def _change(item: JSON) -> JSON | None:
    commit = item.get("lastCommit")
    if not isinstance(commit, dict) or not is_commit(commit.get("id")):
        return None
    title, date = commit.get("title"), commit.get("date")
    if not isinstance(title, str) or not isinstance(date, str) or moment(date) is None:
        return None
    return {"id": commit["id"], "title": title[:500], "date": date}
