"""Large bodies hold some threads of a web process, never all: more of them at once are told when to come again."""

import gc
from unittest.mock import patch

import pytest
from django.core.signals import request_finished
from django.http import HttpResponse, HttpResponseBase
from django.test import RequestFactory

from hub.server import large_bodies
from hub.server.large_bodies import LARGE, SMALL_BODY, LargeBodies, holding
from registry.kernel.capacity import HeldThreads
from registry.kernel.errors import DownloadsFull, StoreUnavailable
from tests.hf.wire import Wire, file, header, lfs_file

NAME = "acme/adapter"
LARGE_FILE, SMALL_FILE = bytes(LARGE + 1), bytes(LARGE)


@pytest.fixture
def places(monkeypatch) -> HeldThreads:
    """One thread alone that may be held."""
    places = HeldThreads(1)
    monkeypatch.setattr(large_bodies, "held_threads", places)
    return places


@pytest.fixture
def repo(cast, store, wire: Wire) -> str:
    cast.repository(NAME)
    for content in (LARGE_FILE, SMALL_FILE):
        assert wire.deliver(NAME, content).status_code == 200
    files = lfs_file("large.bin", LARGE_FILE), lfs_file("small.bin", SMALL_FILE)
    assert wire.commit(NAME, header(), *files).status_code == 200
    return NAME


# --- files -----------------------------------------------------------------------------------------------------------
def test_one_more_than_there_are_places_is_told_when_to_come_again(wire: Wire, repo, places):
    at = f"/{NAME}/resolve/main"
    first = wire.get(f"{at}/large.bin")
    assert (first.status_code, len(places)) == (200, 0)
    refused = wire.get(f"{at}/large.bin")
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "downloads-full", "5")
    small = wire.get(f"{at}/small.bin")
    assert small.status_code == 200
    assert wire.ask("HEAD", f"{at}/large.bin").status_code == 200
    assert wire.get(f"{at}/large.bin", Range="bytes=0-9").content_of() == bytes(10)
    assert first.content_of() == LARGE_FILE  # to the end, where it is closed
    assert len(places) == 1
    again = wire.get(f"{at}/large.bin")
    assert again.content_of() == LARGE_FILE


def test_a_place_is_given_back_once_and_also_by_who_forgets(places):
    class Source:
        def close(self) -> None:
            pass

    source = holding(LARGE + 1, Source)
    assert len(places) == 0
    source.close()
    source.close()
    assert len(places) == 1
    source = holding(LARGE + 1, Source)
    assert len(places) == 0
    del source
    gc.collect()
    assert len(places) == 1
    pieces = holding(LARGE + 1, lambda: (piece for piece in (b"a", b"b")))
    with pytest.raises(DownloadsFull):
        holding(LARGE + 1, Source)
    assert b"".join(pieces) == b"ab"
    del pieces
    assert len(places) == 1


def test_what_cannot_be_opened_holds_nothing(places):
    def lost() -> None:
        raise StoreUnavailable("The store has lost it.")

    with pytest.raises(StoreUnavailable):
        holding(LARGE + 1, lost)
    assert len(places) == 1


# --- other answers ---------------------------------------------------------------------------------------------------
def test_a_large_answer_has_a_place_until_it_is_closed(db, places):
    def answer(method: str, size: int) -> HttpResponseBase:
        return LargeBodies(lambda request: HttpResponse(bytes(size)))(getattr(RequestFactory(), method)("/api/models"))

    first = answer("get", LARGE + 1)
    assert (first.status_code, len(places)) == (200, 0)
    assert answer("get", LARGE).status_code == 200
    assert answer("head", LARGE + 1).status_code == 200
    refused = answer("get", LARGE + 1)
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    with patch.object(request_finished, "send"):  # as the test client does: it would close the test's database
        first.close()
    assert len(places) == 1


# --- requests --------------------------------------------------------------------------------------------------------
def test_a_large_request_has_a_place_until_it_is_answered(wire: Wire, repo, places):
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


@pytest.mark.parametrize("name", ["Transfer-Encoding", "Expect"])
def test_a_body_that_comes_later_has_a_place_too(client, db, places, name):
    assert places.take()
    assert client.post("/login", {"username": "x"}, headers={name: "any"}).status_code == 503


def test_a_form_is_refused_by_a_page(client, db, places):
    assert places.take()
    answer = client.post("/login", {"username": "x" * SMALL_BODY}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "too many large requests" in answer.content.decode()
    assert client.post("/login", {"username": "x"}).status_code == 400, "the form says what is missing"


def test_a_view_that_breaks_gives_its_place_back(wire: Wire, repo, places, monkeypatch):
    monkeypatch.setattr("registry.publish.uploads.accept", None)
    with pytest.raises(TypeError):
        wire.deliver(NAME, bytes(SMALL_BODY + 1))
    assert len(places) == 1
