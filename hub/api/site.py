"""The hub itself in our REST: what it is, one search over everything, and the feed of changes for mirrors."""

import re
from typing import Annotated

from django.http import HttpResponseBase
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers import versions
from dovetail.answers.adapters import Adapter, Change, ChangePage
from dovetail.answers.record import Answer, OneOf, RepositoryType
from hub.about import VERSION
from hub.api import bases, pages, streams
from hub.api.adapters import line
from hub.api.bases import Base
from hub.api.pages import Data
from hub.api.records import of_row, operation, yank_of
from hub.api.streams import Message, Wait
from hub.api.views import View
from registry.kernel import seams, site_settings
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.site_settings import get_setting
from registry.models import Event, Namespace, RevisionFile
from registry.repos.lists import search
from registry.repos.lists.catalog import Query
from registry.talk import feed


class Site(View):
    @operation("site", callers="anyone")
    def get(self, request: Request) -> versions.Site:
        """The rules of this hub that a client must know, and its banner."""
        pages.parameters(request, pages.Nothing)
        shown = site_settings.current_banner()
        return versions.Site(
            version=VERSION,
            registration=get_setting("registration"),
            pull_policy=get_setting("pull_policy"),
            uploads=get_setting("uploads") == "on",
            new_repositories=get_setting("new_repositories") == "on",
            writable=get_setting("read_only") == "off",
            banner=shown.document() if shown else None,
            plane=seams.mirror(),
        )


class Words(s.Serializer[Data]):
    q = s.CharField(max_length=200, help_text="words, or eight and more hex digits of the sha256 of a file")
    limit = s.IntegerField(required=False, min_value=1, max_value=30, default=10, help_text="of each kind")


class Owner(Answer):
    name: str
    kind: Annotated[str, OneOf(*Namespace.Kind.values)]
    full_name: str


class FoundFile(Answer):
    sha256: str
    adapter: Annotated[str, "namespace/name"]
    type: RepositoryType
    revision: Annotated[str, "the newest one that holds it"]
    path: str
    size: int
    yanked: Annotated[versions.Yanked | None, "of the revision"]


class Found(Answer):
    adapters: tuple[Adapter, ...]
    bases: tuple[Base, ...]
    owners: tuple[Owner, ...]
    files: tuple[FoundFile, ...]
    suggestion: Annotated[str | None, "where nothing was found: like words that find something"]


class Search(View):
    @operation("find", query=Words, callers="anyone")
    def get(self, request: Request) -> Found:
        """Search adapters, bases, people, organisations and files.

        The first of each kind; `/adapters?q=` has pages and filters of adapters.
        """
        asked = pages.parameters(request, Words)
        query = Query(q=asked["q"], only_verified=self.viewer.only_verified)
        found = search.find(self.caller, query, asked["limit"])
        verdicts = found.adapters.verdicts
        return Found(
            adapters=tuple(line(repository, verdicts.get(repository.pk)) for repository in found.adapters.items),
            bases=tuple(bases.line(base) for base in found.bases),
            owners=tuple(of_row(Owner, owner, full_name=search.full_name(owner)) for owner in found.owners),
            files=tuple(_file(file) for file in found.files),
            suggestion=None if found else search.suggest(self.caller, query) or None,
        )


def _file(file: RevisionFile) -> FoundFile:
    repository = file.revision.repository
    return FoundFile(
        sha256=file.blob_id,
        adapter=repository.full_name,
        type=repository.type,
        revision=file.revision.oid,
        path=file.path,
        size=file.size,
        yanked=yank_of(file.revision),
    )


PAGE = 100  # events that a stream reads at once where its reader wants to begin at the newest


class Since(Wait):
    since = s.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, default=0, help_text="the last seq you have"
    )
    limit = s.IntegerField(required=False, min_value=0, max_value=1000, default=100)


class Changes(streams.View):
    @operation("changes", query=Since, answers={200: ChangePage}, callers="anyone")
    def get(self, request: Request) -> HttpResponseBase:
        """The feed of changes, in order.

        Ask again with `last` as `since`; where nothing is new, `items` is empty. With `limit` 0, `last` is the newest
        number of all, from which a new follower begins. With `wait` it answers once something is new. As
        `text/event-stream` it goes on: each item is an event, whose id is its `seq`.
        """
        asked = pages.parameters(request, Since)
        if self.is_stream:
            return self._events(asked)
        if asked["limit"] == 0:
            return Response(ChangePage(items=(), next=None, last=feed.last()))
        self._wait(request, asked)
        events = feed.since(asked["since"], self.caller, asked["limit"] + 1)
        items = events[: asked["limit"]]
        more = str(items[-1].seq) if len(events) > len(items) else ""
        page = pages.page(request, [_line(event) for event in items], more, name="since")
        last = (items[-1].seq or 0) if items else asked["since"]
        return Response(ChangePage(items=page.items, next=page.next, last=last))

    def _wait(self, request: Request, asked: Data) -> None:
        follower = feed.Follower(asked["since"])
        streams.wait_until(lambda: follower.has_news() and bool(follower.read(self.caller, 1)), asked["wait"], request)

    def _events(self, asked: Data) -> HttpResponseBase:
        begins_at_end = not self.last_event_id and asked["limit"] == 0
        since = feed.last() if begins_at_end else _number(self.last_event_id) or asked["since"]
        return self.stream(_Source(since, asked["limit"] or PAGE), [])


def _number(last_event_id: str) -> int:
    """Return the number that a stream goes on behind, 0 for none. Raises ValueInvalid."""
    if not last_event_id:
        return 0
    if not re.fullmatch(r"[0-9]{1,18}", last_event_id):
        raise ValueInvalid(
            f"The Last-Event-ID {last_event_id[:100]!r} is not an event number of this feed.",
            fix="Send the ID of the last event that you received, or omit it.",
        )
    return int(last_event_id)


class _Source:
    """Entries of the feed as events of a stream."""

    is_over = False

    def __init__(self, since: int, limit: int) -> None:
        self._follower, self._limit = feed.Follower(since), limit

    @property
    def position(self) -> str:
        return str(self._follower.seq)

    def has_news(self) -> bool:
        return self._follower.has_news()

    def read(self, by: Caller) -> list[Message]:
        entries = self._follower.read(by, self._limit)
        return [Message(event.kind, str(event.seq), streams.render(_line(event))) for event in entries]


def _line(event: Event) -> Change:
    return of_row(Change, event, event=event.kind, adapter=event.name, revision=event.revision or None)
