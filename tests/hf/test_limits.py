"""Rate limits on the wire and on pages, counted by all web processes together, as clients read it."""

import pytest
from django.core.cache import caches
from django.test import Client
from django.urls import resolve
from huggingface_hub.utils._http import parse_ratelimit_headers

from hub.limits import SIGN_IN_PATHS, Family, Quota
from hub.server import shared_cache
from registry.kernel import site_settings
from tests.hf.wire import Wire
from tests.services import valkey
from tests.sweep import sweep


@pytest.fixture
def _throttled(cast, monkeypatch):
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_030.0)
    monkeypatch.setattr(shared_cache, "_broker", lambda: None)
    caches["counters"].clear()
    site_settings.change_setting("throttle", "on", None)


def lower(monkeypatch, family: Family, requests: int) -> None:
    """Let a family have a small quota: its real one is hundreds of requests."""
    small = tuple(Quota(quota.name, requests) for quota in family.value)
    monkeypatch.setattr(family, "_value_", small)


@pytest.mark.usefixtures("_throttled")
def test_too_many_requests_are_429_with_what_clients_read(cast, monkeypatch):
    cast.repository("alice/a")
    lower(monkeypatch, Family.API, 2)
    wire = Wire(cast)
    answers = [wire.get("/api/models/alice/a") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    told = parse_ratelimit_headers(answers[2].headers)
    assert told is not None
    assert (told.resource_type, told.remaining, told.reset_in_seconds, told.limit) == ("api", 0, 30, 2)
    assert answers[2]["Retry-After"] == "30"
    said = answers[2].json()
    assert (said["code"], said["detail"]) == ("rate-limited", "More than 2 requests in a minute.")
    assert said["fix"].startswith("Wait 30 seconds; who is signed in")
    assert wire.get("/api/models/alice/a", who="bob").status_code == 200, "each person has a limit of their own"
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_061.0)
    assert wire.get("/api/models/alice/a").status_code == 200


@pytest.mark.usefixtures("_throttled")
def test_whoever_guesses_tokens_is_counted_as_anybody_is(cast, monkeypatch):
    lower(monkeypatch, Family.API, 2)
    lower(monkeypatch, Family.REST, 2)
    for path in ("/api/models", "/api/v1/adapters"):
        guesses = [Client().get(path, headers={"Authorization": f"Bearer hf_guess_{n}"}) for n in range(3)]
        assert [answer.status_code for answer in guesses] == [401, 401, 429], path
        assert guesses[2]["Retry-After"] == "30"


@pytest.mark.usefixtures("_throttled")
def test_tickets_for_xet_are_counted_by_who_got_them_however_many_he_gets(cast, monkeypatch):
    cast.repository("alice/a")
    lower(monkeypatch, Family.FILES, 3)

    def ticket(headers: dict[str, str], second: int) -> dict[str, str]:
        monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_030.0 + second)  # or it would be the same ticket
        answer = Client().get("/api/models/alice/a/xet-read-token/main", headers=headers)
        return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    def use(ticket: dict[str, str]) -> int:
        return Client().get("/xet/v1/reconstructions/x", headers=ticket).status_code

    nobodys = [ticket({}, second) for second in range(2)]
    assert [use(one) for one in nobodys] == [404, 429], "callers without a token share the limit of their address"
    bearer = {"Authorization": f"Bearer {cast.token('alice')}"}
    hers = [ticket(bearer, second) for second in range(2)]
    assert [use(one) for one in hers * 2] == [404, 404, 404, 429]


@pytest.mark.usefixtures("_throttled")
def test_one_machine_of_ipv6_has_one_quota_however_many_addresses_it_has(cast, monkeypatch):
    lower(monkeypatch, Family.API, 1)

    def ask(address: str) -> int:
        return Client().get("/api/models", REMOTE_ADDR=address).status_code

    assert [ask("2001:db8:1:2::1"), ask("2001:db8:1:2:ffff::9"), ask("2001:db8:1:3::1")] == [200, 429, 200]


@pytest.mark.usefixtures("_throttled")
def test_files_and_questions_have_quotas_of_their_own(cast, monkeypatch):
    cast.repository("alice/a")
    lower(monkeypatch, Family.API, 1)
    wire = Wire(cast)
    wire.get("/api/models/alice/a")
    assert wire.get("/api/models/alice/a").status_code == 429
    assert wire.get("/alice/a/resolve/main/.gitattributes")["RateLimit"].startswith('"resolvers";r=')


@pytest.mark.usefixtures("_throttled")
@pytest.mark.parametrize("path", sorted(SIGN_IN_PATHS))
def test_whoever_guesses_is_slowed_down(cast, monkeypatch, path: str):
    assert resolve(path)
    lower(monkeypatch, Family.SIGN_IN, 3)
    form = {"username": "alice", "password": "wrong", "client_id": "cli"}
    answers = [Client().post(path, form) for _ in range(4)]
    assert answers[3].status_code == 429
    assert answers[2].status_code != 429
    assert answers[3]["Retry-After"] == "30"
    assert b"Wait 30 seconds" in answers[3].content


@pytest.mark.usefixtures("_throttled")
def test_pages_are_counted_and_probes_are_not(cast, monkeypatch):
    lower(monkeypatch, Family.PAGES, 1)
    assert [Client().get("/adapters").status_code for _ in range(2)] == [200, 429]
    assert {Client().get("/livez").status_code for _ in range(5)} == {200}


@pytest.mark.usefixtures("_throttled")
@sweep(
    "path, is_page",
    [
        ("/alice/a/resolve/main/raw/x", False),
        ("/datasets/alice/a/raw/main/x", False),
        ("/spaces/alice/a/resolve/main/x", False),
        ("/gpt2/resolve/main/config.json", False),
        ("/alice/a.git/info/lfs/objects/batch", False),
        ("/v1/telemetry", False),
        ("/alice/a/tree/main/resolve/x", True),
        ("/alice/a/blob/main/raw/x", True),
        ("/datasets/alice/raw/tree/main", True),
        ("/alice/a/tree/main/b.git/info/lfs/", True),
        ("/livezzz/a", True),
        ("/v1/a", True),
        ("/metrics1", True),
    ],
)
def test_no_name_of_a_folder_or_a_person_makes_a_page_free(cast, monkeypatch, path: str, is_page: bool):
    lower(monkeypatch, Family.PAGES, 0)
    assert (Client().get(path).status_code == 429) is is_page


def test_all_web_processes_count_together_and_go_on_alone_without_a_broker(db, settings, monkeypatch):
    with valkey() as url:
        settings.BROKER_URL = url
        shared_cache._broker.cache_clear()
        assert [shared_cache.count("k", 60) for _ in range(2)] == [1, 2]
        shared_cache._broker.cache_clear()  # as another process that begins
        assert shared_cache.count("k", 60) == 3
        shared_cache.remember("until", 1.5, 60)
        assert shared_cache.recall("until", "never") == [1.5, 0]
        shared_cache.forget("until", "k")
        assert (shared_cache.recall("until"), shared_cache.count("k", 60)) == ([0], 1)
        assert not caches["counters"].get("until")  # nothing here that other processes would not see
    caches["counters"].clear()
    assert [shared_cache.count("k", 60) for _ in range(2)] == [1, 2]
    monkeypatch.setattr(shared_cache, "_silent_until", 0.0)
    shared_cache._broker.cache_clear()
