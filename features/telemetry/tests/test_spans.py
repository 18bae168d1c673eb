"""One push seen by a collector of traces: the spans of the web, of the worker and of its engine, in one trace."""

import pytest

from tests import live
from tests.ops.test_one_request import push, verdict_of
from tests.receivers import Receiver, Span

pytestmark = [pytest.mark.merge, pytest.mark.engine]


def test_a_push_and_its_verdict_are_one_trace(working_hub: live.Hub, collector: Receiver) -> None:
    revision = push(working_hub, "one-trace", "ci-run-4711")
    request_id = verdict_of(working_hub, "one-trace", revision)["request_id"]

    def spans() -> dict[str, Span]:
        return {span.name: span for span in collector.spans if span.trace == request_id[:32]}

    live.wait_until(lambda: {"validate", "engine", "event"} <= spans().keys(), working_hub)
    asked = next(span for span in spans().values() if not span.parent)
    assert asked.name.startswith("POST /api/models/")
    assert "one-trace" not in asked.name, "a route, no name of a repository"
    assert (asked.id, asked.attributes["http.response.status_code"]) == (request_id[16:32], 200)
    validated = spans()["validate"]
    assert (validated.parent, spans()["engine"].parent) == (asked.id, validated.id)
    assert validated.attributes["dovetail.adapter"] == "alice/one-trace"
    assert {span.attributes["dovetail.request_id"] for span in spans().values()} == {request_id}
