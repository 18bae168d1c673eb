"""Quotas where pushes really run at the same moment: on PostgreSQL, in several processes of one hub."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import live
from tests.hf.test_stores import ask, new_repo
from tests.hf.wire import file, header
from tests.live import Hub
from tests.services import new_database

ROOM, EACH = 1_000_000, 300_000
pytestmark = [pytest.mark.merge, pytest.mark.postgres]


@pytest.fixture(scope="module")
def narrow_hub(tmp_path_factory, postgres_server) -> Iterator[Hub]:
    """A hub where everybody has a megabyte and twelve repositories."""
    limits = {"QUOTA_BYTES": str(ROOM), "QUOTA_REPOSITORIES": "12"}
    folder = tmp_path_factory.mktemp("narrow") / "data"
    with live.hub(folder, DATABASE_URL=new_database(postgres_server), **limits) as hub:
        yield hub


def push(hub: Hub, repo: str) -> int:
    """Push a file that nobody has; return the status."""
    lines = [header("Fill"), file("big.txt", random.randbytes(EACH // 2).hex().encode())]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return ask(hub, "POST", f"/api/models/{repo}/commit/main", body)[0]


def test_pushes_at_once_to_many_repositories_never_pass_the_quota_together(narrow_hub: Hub):
    repos = [new_repo(narrow_hub) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda repo: push(narrow_hub, repo), repos))
    assert sorted(statuses) == [200] * (ROOM // EACH) + [403] * (8 - ROOM // EACH)


def test_repositories_made_at_once_never_pass_the_quota_together(narrow_hub: Hub):
    held = len(ask(narrow_hub, "GET", "/api/models?author=alice&limit=100")[1])
    bodies = [json.dumps({"name": f"more{random.randrange(1 << 40)}"}).encode() for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        statuses = [
            status for status, _ in pool.map(lambda body: ask(narrow_hub, "POST", "/api/repos/create", body), bodies)
        ]
    assert sorted(statuses) == [200] * (12 - held) + [403] * (16 - 12 + held)
