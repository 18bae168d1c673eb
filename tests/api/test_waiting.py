"""?wait=: an answer that comes when something happened, in a bounded number of threads."""

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from hub.api import streams
from hub.api.streams import NoPlace
from registry.moderation import quarantine
from tests.api.conftest import judged, pushed

VERDICT, CHANGES = "/api/v1/adapters/alice/reviews/revisions/main/verdict", "/api/v1/changes"


class Clock:
    """The clock and the sleep of the module: time passes while a request sleeps, and then something happens."""

    def __init__(self):
        self.now, self.sleeps, self.deeds = 0.0, 0, {}

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.sleeps += 1
        self.deeds.get(self.sleeps, lambda: None)()


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(streams, "time", made)
    return made


def test_a_verdict_is_answered_when_it_has_ended(ask, repository, clock):
    revision = repository.revisions.get(title="push")
    clock.deeds[3] = lambda: judged(revision)
    assert ask().get(f"{VERDICT}?wait=20").json()["state"] == "passed"
    assert clock.sleeps == 3
    assert ask().get(f"{VERDICT}?wait=20").json()["state"] == "passed"
    assert clock.sleeps == 3, "it has ended already"


def test_the_time_is_over_at_some_point(ask, repository, clock):
    assert ask().get(f"{VERDICT}?wait=2").json()["state"] == "queued"
    assert (clock.sleeps, clock.now) == (4, 2)
    assert ask().get(VERDICT).json()["state"] == "queued"
    assert clock.sleeps == 4
    for value in ("26", "-1", "x"):
        assert ask().get(f"{VERDICT}?wait={value}").json()["code"] == "value-invalid"


def test_who_loses_the_right_while_waiting_learns_nothing(ask, cast, repository, clock):
    clock.deeds[1] = lambda: quarantine.quarantine(repository, cast.session("mona"), reason="It is bad.")
    clock.deeds[2] = lambda: judged(repository.revisions.get(title="push"))
    assert ask().get(f"{VERDICT}?wait=20").json()["code"] == "adapter-not-found"


def test_the_feed_waits_for_what_the_caller_may_see(
    ask, cast, repository, secret, clock, django_assert_max_num_queries
):
    last = ask().get(CHANGES).json()["items"][-1]["seq"]
    clock.deeds[2] = lambda: pushed(cast, secret, title="again", files={"notes.txt": b"x"})
    clock.deeds[5] = lambda: pushed(cast, repository, title="again", files={"notes.txt": b"x"})
    [item] = ask().get(f"{CHANGES}?since={last}&wait=20").json()["items"]
    assert (item["adapter"], clock.sleeps) == ("alice/reviews", 5)
    clock.sleeps = 100
    with django_assert_max_num_queries(60):
        assert ask().get(f"{CHANGES}?since={item['seq']}&wait=5").json()["items"] == []
    assert clock.sleeps == 110


def test_few_wait_at_once_and_the_others_are_answered_at_once(ask, repository, clock):
    answers = []
    clock.deeds = {1: lambda: answers.append(ask().get(f"{VERDICT}?wait=1").json()["state"])}
    held = [take(f"10.0.0.{number}") for number in range(streams.waiting_places.most - 1)]
    assert ask().get(f"{VERDICT}?wait=1").json()["state"] == "queued"
    assert answers == ["queued"]  # that came while it slept
    assert clock.sleeps == 2, "only one of them slept"
    clock.deeds = {}
    for give_back in held:
        give_back()
    assert ask().get(f"{VERDICT}?wait=1").json()["state"] == "queued"
    assert clock.sleeps > 2, "its place was given back"


def test_one_caller_and_one_network_hold_only_a_part_of_the_places(cast, repository):
    held = [take("10.0.0.1") for _ in range(streams.waiting_places.of_caller)]
    with pytest.raises(NoPlace):
        take("10.0.0.1")
    held += [
        take("10.0.0.1", cast.session("alice"))
        for _ in range(streams.waiting_places.of_network - streams.waiting_places.of_caller)
    ]
    with pytest.raises(NoPlace):
        take("10.0.0.1", cast.session("bob"))
    held.append(take("10.0.0.2", cast.session("bob")))
    for give_back in held + held:  # twice is once
        give_back()
    assert streams.waiting_places.taken == 0


def take(address, caller=None):
    """Take a place for a request from an address."""
    request = Request(RequestFactory().get(CHANGES, REMOTE_ADDR=address))
    request.auth = caller
    return streams.waiting_places.take(request)
