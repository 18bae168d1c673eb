"""A real hub on PostgreSQL and S3, with a worker: how long each road goes on serving what a moderator quarantined."""

import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests import live
from tests.browser.conftest import REVIEWS
from tests.clients import Client
from tests.live import PASSWORD, TOKENS, Hub
from tests.services import new_database

pytestmark = pytest.mark.merge

NAME, WEIGHTS = "alice/reviews-live", "adapter_model.safetensors"
BOUND = 60.0  # seconds
PAUSE = 0.25  # between two questions on one road
Ask = Callable[[], httpx.Response]


@dataclass
class Road:
    """A road: what is asked again and again, and whether an answer still serves the adapter."""

    name: str
    ask: Ask
    serves: Callable[[httpx.Response], bool]
    seconds: float = -1.0

    def wait(self, start: float) -> None:
        """Ask until the road says no, and note the seconds since the moderator's click."""
        while self.serves(self.ask()):
            if time.monotonic() - start > BOUND + 10:
                return
            time.sleep(PAUSE)
        self.seconds = time.monotonic() - start


@pytest.fixture(scope="module")
def hub(tmp_path_factory, postgres_server, s3_server) -> Iterator[Hub]:
    """A hub as production runs it, but for nginx."""
    folder = tmp_path_factory.mktemp("roads") / "data"
    store = s3_server.url(f"roads-{random.randrange(1 << 40)}")
    with live.hub(folder, worker=True, DATABASE_URL=new_database(postgres_server), BLOBS=store) as running:
        yield running


def found(answer: httpx.Response) -> bool:
    return answer.status_code < 400


def listed(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and (f'"{NAME}"' in answer.text or f'href="/{NAME}"' in answer.text)


def counted(answer: httpx.Response) -> bool:
    return any(answer.json()["facets"].values())


def tagged(answer: httpx.Response) -> bool:
    return "license:apache-2.0" in answer.text


def pushed(answer: httpx.Response) -> bool:
    """Return whether the feed still tells of a push, which leads to the adapter; the entry of the quarantine stays."""
    return any(item["event"] == "push" for item in answer.json()["items"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def roads_now(hub: Hub, client: httpx.Client) -> list[Road]:
    """Return the roads that are asked anew each time, without a name."""

    def get(path: str) -> Ask:
        return lambda: client.get(f"{hub.url}{path}")

    api, commit = f"/api/models/{NAME}", client.get(f"{hub.url}/api/models/{NAME}").json()["sha"]
    batch = batch_of(client, hub)
    found_by = {
        "page": f"/{NAME}", "page of files": f"/{NAME}/tree/main", "page of a commit": f"/{NAME}/commit/{commit}",
        "REST": f"/api/v1/adapters/{NAME}", "REST file": f"/api/v1/adapters/{NAME}/revisions/main/files/{WEIGHTS}",
        "info": api, "tree": f"{api}/tree/main", "refs": f"{api}/refs", "commits": f"{api}/commits/main",
        "resolve GET": f"/{NAME}/resolve/main/{WEIGHTS}",
        "resolve GET by commit": f"/{NAME}/resolve/{commit}/{WEIGHTS}",
        "card": f"/{NAME}/raw/main/README.md", "Xet token": f"{api}/xet-read-token/main",
    }  # fmt: skip
    listed_by = {
        "Hub's list": "/api/models", "Hub's search": "/api/models?search=reviews-live", "REST list": "/api/v1/adapters",
        "REST search": "/api/v1/adapters?q=reviews-live", "catalogue": "/adapters",
        "owner's page": "/alice", "base": f"/bases/{live.BASE}", "likes": "/api/users/carol/likes",
    }  # fmt: skip
    return [
        *(Road(name, get(path), found) for name, path in found_by.items()),
        *(Road(name, get(path), listed) for name, path in listed_by.items()),
        Road("resolve HEAD", lambda: client.head(f"{hub.url}/{NAME}/resolve/main/{WEIGHTS}"), found),
        Road("paths-info", lambda: client.post(f"{hub.url}{api}/paths-info/main", json={"paths": [WEIGHTS]}), found),
        Road("LFS batch", batch, found),
        Road("facets", get("/api/v1/adapters?facets=true"), counted),
        Road("tags in use", get("/api/models-tags-by-type"), tagged),
        Road("feed of changes", get("/api/v1/changes"), pushed),
    ]


def batch_of(client: httpx.Client, hub: Hub) -> Ask:
    etag = client.head(f"{hub.url}/{NAME}/resolve/main/{WEIGHTS}").headers
    asked = {"oid": etag["X-Linked-Etag"].strip('"'), "size": int(etag["X-Linked-Size"])}
    body = {"operation": "download", "transfers": ["basic"], "hash_algo": "sha256", "objects": [asked]}
    return lambda: client.post(f"{hub.url}/{NAME}.git/info/lfs/objects/batch", json=body)


def roads_from_before(hub: Hub, client: httpx.Client) -> list[Road]:
    """Return the addresses and tickets that a stranger took just before, each used again and again."""
    carol = bearer(TOKENS["carol"])
    lfs = batch_of(client, hub)().json()["objects"][0]["actions"]["download"]["href"]
    ticket = client.get(f"{hub.url}/api/models/{NAME}/xet-read-token/main", headers=carol).json()
    file_id = client.head(f"{hub.url}/{NAME}/resolve/main/{WEIGHTS}").headers["X-Xet-Hash"]
    rebuilt = f"{ticket['casUrl']}/v2/reconstructions/{file_id}"
    with_ticket = bearer(ticket["accessToken"])
    places = client.get(rebuilt, headers=with_ticket).json()["xorbs"]
    place = next(iter(places.values()))[0]
    span = {"Range": f"bytes={place['ranges'][0]['bytes']['start']}-{place['ranges'][0]['bytes']['end']}"}
    signed = client.get(f"{hub.url}/{NAME}/resolve/main/{WEIGHTS}").headers["Location"]
    return [
        Road("LFS address from before", lambda: client.get(lfs), found),
        Road("signed address of S3 from before", lambda: client.get(signed), found),
        Road("Xet token from before", lambda: client.get(rebuilt, headers=with_ticket), found),
        Road("signed address of a Xet piece from before", lambda: client.get(place["url"], headers=span), found),
    ]


def moderator(hub: Hub) -> httpx.Client:
    """Sign mona in on the website."""
    browser = httpx.Client(base_url=hub.url, follow_redirects=True)
    browser.get("/login")
    submit(browser, "/login", username="mona", password=PASSWORD)
    return browser


def submit(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    [secret] = [value for name, value in browser.cookies.items() if name.endswith("_csrf")]
    answer = browser.post(path, data=fields | {"csrfmiddlewaretoken": secret})
    assert answer.status_code == 200, answer.text[:500]
    return answer


def report(hub: Hub, client: httpx.Client) -> int:
    body = {"adapter": NAME, "reason": "malware", "text": "It phones home."}
    filed = client.post(f"{hub.url}/api/v1/reports", json=body, headers=bearer(TOKENS["carol"]))
    assert filed.status_code == 201, filed.text
    return int(filed.json()["id"])


def downloads(hub: Hub, home: Path) -> bool:
    """Return whether `hf download` gets it into an empty cache, as a stranger."""
    program = (
        "import sys\nfrom huggingface_hub import snapshot_download\nfrom huggingface_hub.errors import "
        "RepositoryNotFoundError\ntry:\n    snapshot_download(sys.argv[1])\n    print('there')\n"
        "except RepositoryNotFoundError:\n    print('gone')\n"
    )
    return "there" in str(Client("2.4.0", hub.url, TOKENS["carol"], home).python(program, NAME))


@pytest.mark.timeout(1800)
@pytest.mark.postgres
@pytest.mark.s3
def test_what_a_moderator_quarantines_is_gone_on_every_road_within_a_minute(hub: Hub, tmp_path: Path, capsys: Any):
    Client("2.4.0", hub.url, TOKENS["alice"], tmp_path / "alice").hf("upload", NAME, REVIEWS)
    with httpx.Client(timeout=30) as client:
        client.post(f"{hub.url}/api/models/{NAME}/like", headers=bearer(TOKENS["carol"]))
        number, mona = report(hub, client), moderator(hub)
        assert downloads(hub, tmp_path / "first")
        pages = client.get(f"{hub.url}/{NAME}").headers["Cache-Control"]
        mona.get(f"/moderation/cases/{number}")
        roads = roads_now(hub, client) + roads_from_before(hub, client)
        silent = [road.name for road in roads if not road.serves(road.ask())]
        assert silent == [], "every road serves it before"
        start = time.monotonic()
        submit(mona, f"/moderation/cases/{number}/close", outcome="held", reason="It phones home.", sure="yes")
        with ThreadPoolExecutor(len(roads)) as pool:
            list(pool.map(lambda road: road.wait(start), roads))
    late = [road.name for road in roads if not 0 <= road.seconds <= BOUND]
    assert not downloads(hub, tmp_path / "second")
    with capsys.disabled():
        print(f"\nSeconds from the moderator's click until a road says no (Cache-Control of pages: {pages}):")
        for road in sorted(roads, key=lambda road: road.seconds):
            print(f"{road.seconds:7.2f}  {road.name}")
    assert not re.search(r"public|max-age=[1-9]", pages)
    assert late == []
