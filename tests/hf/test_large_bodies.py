"""Requests with large bodies hold some threads of a web process, never all."""

import pytest

from hub import large_bodies
from hub.arriving import SMALL_BODY
from registry.kernel.held_threads import HeldThreads
from tests.hf.wire import Wire, file, header, lfs_file

NAME = "acme/adapter"


@pytest.fixture
def places(monkeypatch) -> HeldThreads:
    """One thread alone that may be held."""
    places = HeldThreads(1)
    monkeypatch.setattr(large_bodies, "held_threads", places)
    return places


@pytest.fixture
def repo(cast, store) -> str:
    cast.repository(NAME)
    return NAME


def test_a_large_body_has_a_place_until_it_is_answered(wire: Wire, repo, places):
    for _ in range(2):
        assert wire.deliver(NAME, bytes(SMALL_BODY + 1)).status_code == 200
    assert wire.commit(NAME, header(), lfs_file("w.bin", bytes(SMALL_BODY + 1))).status_code == 200
    assert len(places) == 1
    assert places.take()
    offer = wire.offer(NAME, bytes(SMALL_BODY + 2)).json()["objects"][0]
    refused = wire.put(offer["actions"]["upload"]["href"], bytes(SMALL_BODY + 2))
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "hub-busy", "5")
    assert wire.commit(NAME, header(), file("small")).status_code == 200
    places.give_back()
    assert wire.put(offer["actions"]["upload"]["href"], bytes(SMALL_BODY + 2)).status_code == 200


def test_a_form_is_refused_by_a_page(client, db, places):
    assert places.take()
    answer = client.post("/login", {"username": "x" * SMALL_BODY}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "as many large requests as it can" in answer.content.decode()
    assert client.post("/login", {"username": "x"}).status_code == 400, "the form says what is missing"


def test_a_view_that_breaks_gives_its_place_back(wire: Wire, repo, places, monkeypatch):
    monkeypatch.setattr("registry.publish.uploads.accept", None)
    with pytest.raises(TypeError):
        wire.deliver(NAME, bytes(SMALL_BODY + 1))
    assert len(places) == 1
