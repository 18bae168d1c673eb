"""The feed of events, for mirrors and servers that follow this hub."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages, waiting
from hub.api.asking import View
from hub.api.shapes import changes as shapes
from registry.models import Event
from registry.talk import feed


class Changes(View):
    @extend_schema(
        operation_id="changes", summary="What happened, in order", parameters=[shapes.Since],
        description="Ask again with `last` as `since`; where nothing is new, `items` is empty. With `limit` 0, `last`"
        " is the newest number of all, from which a new follower begins. With `wait` it answers once something is new.",
        responses=shapes.ChangePage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = pages.parameters(request, shapes.Since)
        if asked["limit"] == 0:
            return Response({**pages.page(request, []), "last": feed.last()})
        waiting.wait_until(feed.News(asked["since"], self.caller).has_come, asked["wait"])
        events = feed.since(asked["since"], self.caller, asked["limit"] + 1)
        items = events[: asked["limit"]]
        more = str(items[-1].seq) if len(events) > len(items) else ""
        page = pages.page(request, [_line(event) for event in items], more, name="since")
        return Response({**page, "last": items[-1].seq if items else asked["since"]})


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
