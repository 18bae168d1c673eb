"""Large files hold some threads of a web process, never all: more of them at once are told when to come again."""

import gc

import pytest

from hub import long_sends
from hub.long_sends import LARGE, holding
from registry.kernel.errors import DownloadsFull, StoreUnavailable
from registry.kernel.held_threads import HeldThreads
from tests.hf.wire import Wire, header, lfs_file

NAME = "acme/adapter"
LARGE_FILE, SMALL_FILE = bytes(LARGE + 1), bytes(LARGE)


@pytest.fixture
def places(monkeypatch) -> HeldThreads:
    """One thread alone that may be held."""
    places = HeldThreads(1)
    monkeypatch.setattr(long_sends, "held_threads", places)
    return places


@pytest.fixture
def repo(cast, store, wire: Wire) -> str:
    cast.repository(NAME)
    for content in (LARGE_FILE, SMALL_FILE):
        assert wire.deliver(NAME, content).status_code == 200
    files = lfs_file("large.bin", LARGE_FILE), lfs_file("small.bin", SMALL_FILE)
    assert wire.commit(NAME, header(), *files).status_code == 200
    return NAME


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
