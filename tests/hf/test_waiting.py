"""Nobody waits for the store with a lock held: SQLite has one for all who write, and a store may be far away."""

import pytest
from django.db import connections

from registry.bytes.blobs import FileStore
from registry.models import RevisionFacts
from registry.repos.contents import facts
from tests.adapters import MINILM, lora
from tests.cast import Cast
from tests.hf.wire import Wire, file, header, lfs_file

NAME = "alice/reviews"
HERE = f"/api/models/{NAME}"


@pytest.fixture
def within(monkeypatch) -> list[str]:
    """The reads and writes of the store during open transactions, and the number of all."""
    ours = connections["default"]  # also where threads do it while we wait
    outside, seen = len(ours.savepoint_ids), []

    def watched(verb: str):
        known = getattr(FileStore, verb)

        def asked(self, *args, **kwargs):
            seen.append(f"{verb} {args}" if len(ours.savepoint_ids) > outside else "")
            return known(self, *args, **kwargs)

        return asked

    for verb in ("open", "put"):
        monkeypatch.setattr(FileStore, verb, watched(verb))
    return seen


def adapter_at(wire: Wire, rev: str, who: str = "alice") -> None:
    made = lora(MINILM)
    lines = [file("README.md", b"# Of its own\n")]
    for path, data in made.items():
        wire.deliver(NAME, data, who=who)
        lines.append(lfs_file(path, data))
    assert wire.commit(NAME, header(), *lines, who=who, rev=rev).status_code == 200


def forget() -> None:
    facts._read.cache_clear()


@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_squashed_is_read_before(wire: Wire, cast: Cast, within, is_known):
    cast.repository(NAME)
    adapter_at(wire, "main")
    if not is_known:  # as a release before this one pushed it
        RevisionFacts.objects.all().delete()
    forget(), within.clear()
    assert wire.ask("POST", f"{HERE}/super-squash/main", {"message": "one"}).status_code == 200
    assert bool(within) is not is_known
    assert not any(within)


def test_what_is_merged_is_read_before(wire: Wire, cast: Cast, within):
    cast.repository(NAME)
    number = wire.ask("POST", f"{HERE}/discussions", {"title": "x", "pullRequest": True}).json()["num"]
    adapter_at(wire, f"refs%2Fpr%2F{number}")
    forget(), within.clear()
    wire.ask("POST", f"{HERE}/discussions/{number}/status", {"status": "open"})
    assert wire.ask("POST", f"{HERE}/discussions/{number}/merge", b"null").status_code == 200
    assert within
    assert not any(within)


@pytest.mark.parametrize("type", ["model", "space"])
def test_what_a_new_repository_begins_with_is_kept_and_read_before(wire: Wire, db, within, type):
    forget()
    body = {"name": "new", "type": type, **({"sdk": "static"} if type == "space" else {})}
    assert wire.ask("POST", "/api/repos/create", body).status_code == 200
    assert within
    assert not any(within)
