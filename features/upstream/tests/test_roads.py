"""An adapter of another hub that a moderator here holds: on every road it is as if it had never been."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.request import urlopen

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from huggingface_hub import CommitOperationAdd, HfApi

from features.upstream import asking, reading, records, store
from hub.environment import Upstream, Upstreams
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.kernel.policy import Caller
from registry.models import Repository, User
from registry.moderation import quarantine
from registry.people.tokens import tokens
from tests import adapters, live
from tests.cast import person
from tests.fault_proxy import Faults, proxy
from tests.roads.conftest import cast
from tests.roads.roads import BY_BROWSER, ROADS, Road, looks

__all__ = ["cast"]
NAME, NEVER = "mona/distant", "mona/distent"  # of one length, so that lengths can be compared
LISTS = ("/api/models", "/api/v1/adapters?source=upstream", "/adapters?source=upstream", "/s3/hub", "/api/v1/changes")
VERIFIED = [Road("GET", f"/verified/{road}") for road in ("{id}/resolve/main/README.md", "api/models/{id}")]


@dataclass
class Record:
    """The adapter, its commit there, its record here, and everything that is asked of the other hub."""

    repository: Repository
    commit: str
    faults: Faults


@pytest.fixture(scope="module")
def commit(live_hub: live.Hub) -> str:
    """The commit of the adapter at the other hub."""
    writer = HfApi(endpoint=live_hub.url, token=live.TOKENS["mona"])
    writer.create_repo(NAME)
    files = adapters.lora() | {"README.md": b"---\nlicense: mit\n---\n", "curve.png": b"\x89PNG curve"}
    files["weights.safetensors"] = files["adapter_model.safetensors"]
    changes = [CommitOperationAdd(path, content) for path, content in files.items()]
    writer.create_commit(NAME, changes, commit_message="Files")
    return str(writer.model_info(NAME).sha)


@pytest.fixture
def record(commit: str, live_hub: live.Hub, db: None, settings, tmp_path) -> Iterator[Record]:
    """The adapter as a worker here records it when all files are in the cache."""
    settings.BLOBS, settings.FIRST_THROTTLE = f"file://{tmp_path / 'blobs'}", "off"
    with proxy(live_hub.url) as faults:
        hubs = (Upstream(faults.url),)
        settings.UPSTREAM = Upstreams(hubs=hubs, size=1 << 30, refs_seconds=300, missing_seconds=300, streams=16)
        row = reading.find(NAME, "model")
        at = reading.version(row, "main")
        for path, entry in at.entries().items():
            with urlopen(f"{live_hub.url}/{NAME}/resolve/main/{path}") as response:
                content = response.read()
            digest = blobs.digest_of(content)
            blobs.store().put(Keys.blob(digest.sha256), [content])
            assert store.record(row, entry, digest)
        records.want(at)
        assert records.work() == 1
        yield Record(Repository.objects.get(name="distant"), commit, faults)
    asking._resting.clear()


def clients(name: str, role: str = "user") -> tuple[Client, Client]:
    """Return the program and the browser of somebody new."""
    who, browser = person(name, role=role), Client()
    browser.force_login(who)
    return Client(headers={"authorization": f"Bearer {tokens.create_token(who, 'roads', 'write')}"}), browser


def differing(record: Record, program: Client, browser: Client) -> set[str]:
    """Return the roads whose answers differ from those for a repository that never was."""
    roads = [(row, road) for row, group in {**ROADS, "verified": VERIFIED}.items() for road in group]
    return {
        f"{road.method} {road.path}"
        for row, road in roads
        for client in [browser if row in BY_BROWSER else program]
        if looks(road.ask(client, NAME, record.commit), NAME) != looks(road.ask(client, NEVER, record.commit), NEVER)
    }


def lists(client: Client) -> list[str]:
    """Return the lists that name it."""
    LocMemCache.clear(caches["default"])
    return [path for path in LISTS if NAME in client.get(path).content.decode()]


def test_the_page_of_a_record_says_that_its_hub_does_not_answer(record: Record) -> None:
    assert "stopped answering" not in Client().get(f"/{NAME}").content.decode()
    asking._leave_alone(Upstream(record.faults.url), 0)
    assert "stopped answering" in Client().get(f"/{NAME}").content.decode()


@pytest.mark.merge
def test_a_held_record_is_on_no_road(record: Record) -> None:
    callers = {"nobody": (Client(), Client()), "zoe": clients("zoe"), "judge": clients("judge", "moderator")}
    every = {f"{road.method} {road.path}" for group in [*ROADS.values(), VERIFIED] for road in group}
    for who, pair in callers.items():
        assert differing(record, *pair) == every, who
        assert [lists(client) for client in pair] == [[path for path in LISTS if "source=upstream" in path]] * 2, who
    judge = Caller(user=User.objects.get(username="judge"))
    quarantine.quarantine(record.repository, judge, reason="It phones home.")
    record.faults.seen.clear()
    pages = {f"{road.method} {road.path}" for row in BY_BROWSER for road in ROADS[row]}
    for who, pair in callers.items():
        assert differing(record, *pair) == (pages if who == "judge" else set()), who
        assert [lists(client) for client in pair] == [["/api/v1/changes"]] * 2, "mirrors learn that it was held"
    assert record.faults.paths(NAME) == [], "nor is the other hub asked"
