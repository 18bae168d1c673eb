"""Rate limits, and how answers tell of them."""

import pytest
from django.core.cache import caches
from django.test import Client

from hub.server.shared_cache import SharedCache
from registry.kernel import site_settings

ME, LIST = "/api/v1/me", "/api/v1/adapters"


@pytest.fixture
def _throttled(cast, monkeypatch):
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_030.0)
    caches["counters"].clear()
    site_settings.change_setting("throttle", "on", None)


@pytest.mark.usefixtures("_throttled")
def test_the_sixty_first_request_of_a_minute_is_refused_until_the_next(ask, monkeypatch):
    answers = [ask().get(LIST) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0]["RateLimit-Policy"] == '"anonymous";q=60;w=60'
    assert [answers[0]["RateLimit"], answers[-1]["RateLimit"]] == ['"anonymous";r=59;t=30', '"anonymous";r=0;t=30']
    refused = ask().get(LIST)
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "rate-limited", "30")
    assert refused["RateLimit"] == '"anonymous";r=0;t=30'
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_061.0)
    assert ask().get(LIST).status_code == 200


@pytest.mark.usefixtures("_throttled")
def test_people_count_for_themselves_wherever_they_are(ask):
    for _ in range(61):
        last = ask().get(LIST)
    assert last.status_code == 429
    assert ask("alice", "read").get(ME)["RateLimit"] == '"signed-in";r=599;t=30'
    assert ask("alice").get(ME)["RateLimit"] == '"signed-in";r=598;t=30'
    assert ask("bob").get(ME)["RateLimit"] == '"signed-in";r=599;t=30'


@pytest.mark.usefixtures("_throttled")
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(settings):
    def left(forwarded: str) -> str:
        return Client(headers={"X-Forwarded-For": forwarded}).get(LIST)["RateLimit"]

    assert left("1.2.3.4") == '"anonymous";r=59;t=30'
    assert left("5.6.7.8") == '"anonymous";r=58;t=30', "whoever invents addresses stays one caller"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert left("9.9.9.9, 1.2.3.4") == '"anonymous";r=59;t=30'
    assert left("8.8.8.8, 1.2.3.4") == '"anonymous";r=58;t=30'


def test_a_hub_with_throttling_off_says_nothing_of_it(ask):
    assert "RateLimit" not in ask().get(LIST)


@pytest.mark.parametrize("deed", ["incr", "touch", "has_key", "clear"])
def test_the_shared_cache_does_nothing_in_one_process_alone(deed):
    with pytest.raises(NotImplementedError):
        getattr(SharedCache("", {}), deed)("key")
