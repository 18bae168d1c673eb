"""One request seen from outside: its id in the log of the web, in that of the worker, and on the verdict."""

import json
import time
from typing import Any

import pytest
import requests

from tests import live
from tests.adapters import MINILM, lora
from tests.hf.wire import file, header
from tests.ops.test_health import get

pytestmark = pytest.mark.merge

ALICE = {"Authorization": f"Bearer {live.TOKENS['alice']}"}


@pytest.mark.engine
def test_readyz_says_yes_when_all_parts_work(working_hub: live.Hub) -> None:
    deadline = time.monotonic() + 120  # each web process remembers for a moment what it found
    while (answer := get(f"{working_hub.url}/readyz"))[0] != 200:
        assert time.monotonic() < deadline, answer
    body = answer[1]
    assert all(part["ok"] and part["ms"] >= 0 for part in json.loads(body)["parts"].values())


def push(hub: live.Hub, name: str, request_id: str) -> str:
    """Create a repository, push an adapter in a request with that id, and return the revision."""
    made = requests.post(f"{hub.url}/api/repos/create", json={"name": name}, headers=ALICE)
    assert made.status_code == 200, made.text
    lines = [header(), *(file(path, data) for path, data in lora(MINILM, rank=2).items())]
    answer = requests.post(
        f"{hub.url}/api/models/alice/{name}/commit/main",
        data=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        headers=ALICE | {"Content-Type": "application/x-ndjson", "X-Request-Id": request_id},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-Id"] == request_id
    return str(answer.json()["commitOid"])


def verdict_of(hub: live.Hub, name: str, revision: str) -> dict[str, Any]:
    """Return a verdict that has ended."""
    address = f"{hub.url}/api/v1/adapters/alice/{name}/revisions/{revision}/verdict?wait=25"
    ends = time.monotonic() + 300
    while (document := requests.get(address, headers=ALICE).json())["finished_at"] is None:
        assert time.monotonic() < ends, document
    return dict(document)


def lines_of(hub: live.Hub, process: str, request_id: str) -> list[dict[str, Any]]:
    """Return what a process of the hub logged under an id."""
    lines = [json.loads(line) for line in hub.log(process).splitlines() if line.startswith('{"time"')]
    return [line for line in lines if line.get("request_id") == request_id]


@pytest.mark.engine
def test_one_id_leads_from_a_push_through_the_worker_to_its_verdict(working_hub: live.Hub) -> None:
    revision = push(working_hub, "one-request", "ci-run-4711")
    document = verdict_of(working_hub, "one-request", revision)
    request_id = document["request_id"]
    assert document["state"] == "passed", document["checks"]
    assert request_id.endswith(";ci-run-4711"), "the client's own is inside"

    [answered] = lines_of(working_hub, "web", request_id)
    assert (answered["message"], answered["status"]) == (
        "POST /api/models/alice/one-request/commit/main 200",
        200,
    )
    live.wait_until(lambda: len(lines_of(working_hub, "worker", request_id)) >= 3, working_hub)
    lines = {line["message"]: line for line in lines_of(working_hub, "worker", request_id)}
    began, ran, ended = (lines[what] for what in ("A validation began", "An engine answered", "A validation ended"))
    about = {"adapter": "alice/one-request", "revision": revision, "base": live.BASE}
    assert about.items() <= began.items()
    assert (about | {"engine": "e5", "state": "passed", "attempt": 1}).items() <= ended.items()
    assert ended["wait_ms"] >= 0
    assert ended["ms"] == document["duration_ms"] >= ran["ms"] > 0
    assert ran["engine_pid"] > 0
