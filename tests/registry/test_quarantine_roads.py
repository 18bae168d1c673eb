"""A quarantined adapter is refused on every road at once, by the real URLs: the Hub's, LFS, REST, the website."""

import json
from dataclasses import dataclass

import pytest
from django.test import Client

from registry.bytes import intake
from registry.models import Repository
from registry.moderation import quarantine
from registry.publish import push
from registry.repos import refs
from tests.cast import Cast, signed_in
from tests.of_features import rows as of_features
from tests.sweep import at_merge, sweep

HELD, NEVER = "acme/held", "acme/hold"  # of one length, so that lengths can be compared
DISABLED = "Access to this resource is disabled."
JSON = "application/json"


@dataclass(frozen=True)
class Road:
    """One request about the adapter {id}."""

    method: str
    path: str
    body: str = ""
    content_type: str = JSON

    def ask(self, client: Client, full_name: str, **headers: str):
        """Send it about this adapter."""
        body = self.body.replace("{id}", full_name).replace("{ns}", full_name.split("/")[0])
        body = body.replace("{name}", full_name.split("/")[1])
        path = self.path.replace("{id}", full_name)
        return client.generic(self.method, path, body, content_type=self.content_type, headers=headers)


BATCH = json.dumps(
    {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "0" * 64, "size": 3}], "hash_algo": "sha256"}
)
COMMIT = "\n".join(
    json.dumps(line)
    for line in (
        {"key": "header", "value": {"summary": "x", "description": ""}},
        {"key": "file", "value": {"path": "a.txt", "content": "eA==", "encoding": "base64"}},
    )
)
READING = [
    Road("GET", "/{id}/resolve/main/README.md"),
    Road("HEAD", "/{id}/resolve/main/README.md"),
    Road("HEAD", "/{id}/resolve/main/weights.safetensors"),
    Road("GET", "/{id}/raw/main/README.md"),
    Road("GET", "/api/models/{id}"),
    Road("GET", "/api/models/{id}/revision/main"),
    Road("GET", "/api/models/{id}/tree/main"),
    Road("POST", "/api/models/{id}/paths-info/main", '{"paths": ["README.md"]}'),
    Road("GET", "/api/models/{id}/refs"),
    Road("GET", "/api/models/{id}/commits/main"),
    Road("GET", "/api/models/{id}/auth-check"),
    *(Road("GET", path) for path in of_features("READING")),
]
WRITING = [
    Road("GET", "/api/models/{id}/auth-check/write"),
    *(Road("GET", path) for path in of_features("WRITING")),
    Road("POST", "/api/models/{id}/preupload/main", '{"files": [{"path": "a.txt", "size": 1, "sample": "eA=="}]}'),
    Road("POST", "/api/models/{id}/commit/main", COMMIT, "application/x-ndjson"),
    Road("POST", "/api/models/{id}/branch/dev", "{}"),
    Road("POST", "/api/models/{id}/tag/main", '{"tag": "v1"}'),
    Road("PUT", "/api/models/{id}/settings", '{"private": true}'),
    Road("DELETE", "/api/repos/delete", '{"name": "{name}", "organization": "{ns}", "type": "model"}'),
    Road("POST", "/{id}.git/info/lfs/objects/batch", BATCH, "application/vnd.git-lfs+json"),
]
REST = [
    Road("GET", "/api/v1/adapters/{id}/revisions/main/files/README.md"),
    Road("POST", "/api/v1/adapters/{id}/revisions/main/validate", "{}"),
    Road("PUT", "/api/v1/adapters/{id}/aliases/prod", '{"revision": "main"}'),
    Road("POST", "/api/v1/adapters/{id}/aliases/prod/rollback", "{}"),
]
REST_FACTS = [
    Road("GET", "/api/v1/adapters/{id}"),
    Road("GET", "/api/v1/adapters/{id}/revisions"),
    Road("GET", "/api/v1/adapters/{id}/revisions/main"),
    Road("GET", "/api/v1/adapters/{id}/aliases"),
    Road("GET", "/api/v1/adapters/{id}/aliases/prod"),
    Road("GET", "/api/v1/adapters/{id}/aliases/prod/history"),
]
PAGES = [
    Road("GET", "/{id}"),
    Road("GET", "/{id}/tree/main"),
    Road("GET", "/{id}/blob/main/README.md"),
    Road("GET", "/{id}/commits/main"),
]
LISTS = [
    "/api/models", "/api/models?author=acme", "/api/models?search=held", "/api/v1/adapters", "/api/v1/adapters?q=held",
    "/adapters", "/adapters?q=held", "/acme", "/",
]  # fmt: skip
WRITERS, STRANGERS = ("alice", "bob"), ("carol", "dave", "erin")


def name_of(road: Road) -> str:
    return f"{road.method} {road.path}"


@pytest.fixture
def held(cast: Cast, settings, tmp_path) -> Repository:
    """An adapter with a README and weights, quarantined after its files were there."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    repository = cast.repository(HELD)
    [weights] = intake.receive_inline(repository, b"weights")
    push.receive(
        push.Intent(repository, refs.MAIN, cast.session("alice"), title="Files"),
        [push.Inline("README.md", b"# Held"), push.Stored("weights.safetensors", weights.sha256)],
    )
    Repository.objects.update(
        kind="lora", state="passed", outcome="passed", is_verified=True
    )  # so that the front page shows it
    return repository


@pytest.fixture
def quarantined(cast: Cast, held: Repository) -> Repository:
    quarantine.quarantine(held, cast.session("mona"), reason="It phones home.")
    return held


def bearer(cast: Cast, who: str) -> dict[str, str]:
    return {} if who == "anonymous" else {"authorization": f"Bearer {cast.token(who)}"}


def browser(cast: Cast, who: str) -> Client:
    return Client() if who == "anonymous" else signed_in(Client(), cast[who], second_factor=True)


def looks(response, full_name: str) -> tuple:
    """Return the distinguishable parts of an answer, without the name."""
    # An ETag is a digest of the answer, in which the name stands.
    headers = {key: value for key, value in response.headers.items() if key not in {"X-Request-Id", "ETag"}}
    headers = {key: value.replace(full_name, "-") for key, value in headers.items() if "RateLimit" not in key}
    body = b"" if response.streaming else response.content.replace(full_name.encode(), b"-")
    return response.status_code, headers, body


@sweep("road", READING + WRITING)
def test_the_road_exists_before_the_quarantine(cast, held, road):
    response = road.ask(Client(), HELD, **bearer(cast, "alice"))
    assert response.status_code < 300 or response.status_code in {302, 307}, response.content


@sweep("road", READING + WRITING + REST)
@pytest.mark.parametrize("who", ["anonymous", "erin", *at_merge("carol", "dave", "mona", "ada")])
def test_for_strangers_it_is_as_if_it_had_never_been(cast, quarantined, road, who):
    headers = bearer(cast, who)
    held, never = road.ask(Client(), HELD, **headers), road.ask(Client(), NEVER, **headers)
    assert held.status_code in {401, 404}
    assert looks(held, HELD) == looks(never, NEVER)


@sweep("road", READING + WRITING)
@pytest.mark.parametrize("who", ["bob", *at_merge("alice")])
def test_who_writes_there_is_told_in_the_words_that_clients_know(cast, quarantined, road, who):
    response = road.ask(Client(), HELD, **bearer(cast, who))
    assert response.status_code == 403
    assert response["X-Error-Message"] == DISABLED
    if road.method != "HEAD":
        assert "It phones home." in response.json()["error"]


@sweep("road", REST)
@pytest.mark.parametrize("who", WRITERS)
def test_rest_gives_a_writer_the_code_and_the_reason(cast, quarantined, road, who):
    response = road.ask(Client(), HELD, **bearer(cast, who))
    assert response.status_code == 403
    assert response.json()["code"] == "adapter-quarantined"
    assert "It phones home." in response.json()["detail"]


@pytest.mark.parametrize("road", REST_FACTS, ids=name_of)
def test_rest_shows_facts_to_writers_and_nothing_to_strangers(cast, quarantined, road):
    for who in WRITERS:
        assert road.ask(Client(), HELD, **bearer(cast, who)).status_code in {200, 403}
    for who in ("anonymous", *STRANGERS, "mona"):
        headers = bearer(cast, who)
        assert looks(road.ask(Client(), HELD, **headers), HELD) == looks(road.ask(Client(), NEVER, **headers), NEVER)


@pytest.mark.parametrize("who", ["anonymous", "erin", *at_merge("carol", "dave")])
@sweep("road", PAGES)
def test_pages_are_not_found_for_strangers_exactly_as_others_are(cast, quarantined, road, who):
    client = browser(cast, who)
    held, never = road.ask(client, HELD), road.ask(client, NEVER)
    assert held.status_code == 404
    assert looks(held, HELD)[0] == looks(never, NEVER)[0]
    assert b"phones home" not in held.content
    assert b"# Held" not in held.content


@pytest.mark.parametrize("who", WRITERS)
def test_an_owners_page_is_there_with_the_reason_and_his_files_are_not(cast, quarantined, who):
    client = browser(cast, who)
    page = client.get(f"/{HELD}")
    assert page.status_code == 200
    assert "It phones home." in page.content.decode()
    assert client.get(f"/{HELD}/resolve/main/README.md").status_code == 403


@pytest.mark.parametrize("who", ["mona", "ada"])
def test_moderators_see_the_page_and_get_no_bytes(cast, quarantined, who):
    client = browser(cast, who)
    assert client.get(f"/{HELD}").status_code == 200
    assert client.get(f"/{HELD}/resolve/main/README.md").status_code == 404
    assert client.get(f"/api/v1/adapters/{HELD}/revisions/main/files/README.md").status_code == 404


@sweep("url", LISTS)
@pytest.mark.parametrize("who", ["carol", *at_merge("anonymous", "alice", "mona")])
def test_no_list_shows_it(cast, held, url, who):
    client = browser(cast, who)
    assert HELD in client.get(url).content.decode(), "the list shows it before"
    quarantine.quarantine(held, cast.session("mona"), reason="It phones home.")
    is_own_home = (who, url) == ("alice", "/")  # a feature may say there what waits for its owner
    assert is_own_home or HELD not in client.get(url).content.decode()


def test_a_release_opens_every_road_again(cast, quarantined):
    quarantine.release(quarantined, cast.session("mona"), reason="A mistake.")
    assert Client().get(f"/{HELD}").status_code == 200
    assert Client().head(f"/{HELD}/resolve/main/README.md").status_code == 200
    assert HELD in Client().get("/api/models").content.decode()


def test_evidence_outlives_every_attempt_of_its_owner(cast, quarantined):
    for road in WRITING:
        road.ask(Client(), HELD, **bearer(cast, "alice"))
    row = Repository.objects.get(pk=quarantined.pk)
    assert not row.private
    assert row.refs.get(name=refs.MAIN).revision.files.count() == 3
