"""The feed of events, for mirrors and servers that follow this hub."""

import re

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages, streaming, waiting
from hub.api.shapes import Data
from hub.api.shapes import changes as shapes
from hub.api.streaming import Message
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Event
from registry.talk import feed
from registry.talk.feed import Follower

PAGE = 100  # events that a stream reads at once where its reader wants to begin at the newest


class Changes(streaming.View):
    @extend_schema(
        operation_id="changes", summary="What happened, in order", parameters=[shapes.Since, streaming.LAST_EVENT_ID],
        description="Ask again with `last` as `since`; where nothing is new, `items` is empty. With `limit` 0, `last`"
        " is the newest number of all, from which a new follower begins. With `wait` it answers once something is new."
        " As `text/event-stream` it goes on: each item is an event, whose id is its `seq`.",
        responses=streaming.responses(shapes.ChangePage),
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponseBase:
        asked = pages.parameters(request, shapes.Since)
        if self.is_stream:
            return self._events(asked)
        if asked["limit"] == 0:
            return Response({**pages.page(request, []), "last": feed.last()})
        self._wait(request, asked)
        events = feed.since(asked["since"], self.caller, asked["limit"] + 1)
        items = events[: asked["limit"]]
        more = str(items[-1].seq) if len(events) > len(items) else ""
        page = pages.page(request, [_line(event) for event in items], more, name="since")
        return Response({**page, "last": items[-1].seq if items else asked["since"]})

    def _wait(self, request: Request, asked: Data) -> None:
        follower = Follower(asked["since"])
        waiting.wait_until(lambda: follower.has_news() and bool(follower.read(self.caller, 1)), asked["wait"], request)

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
            f"The Last-Event-ID {last_event_id[:100]!r} is no number of the feed.",
            fix="Send the id of the last event that you have, or none.",
        )
    return int(last_event_id)


class _Source:
    """Entries of the feed as events of a stream."""

    is_over = False

    def __init__(self, since: int, limit: int) -> None:
        self._follower, self._limit = Follower(since), limit

    @property
    def position(self) -> str:
        return str(self._follower.seq)

    def has_news(self) -> bool:
        return self._follower.has_news()

    def read(self, by: Caller) -> list[Message]:
        entries = self._follower.read(by, self._limit)
        return [Message(event.kind, str(event.seq), streaming.render(_line(event))) for event in entries]


def _line(event: Event) -> dict[str, object]:
    return {
        "seq": event.seq,
        "at": event.at,
        "event": event.kind,
        "type": event.type,
        "adapter": event.name,
        "revision": event.revision or None,
        "data": event.data,
    }
