"""Cold xorbs: bytes are stored once, from the push on, and a client that names old chunks is understood."""

import hashlib
import io
import os
import signal
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from features.xet import tickets, transfers, xet_files
from features.xet.models import XetFile, Xorb
from features.xet.tests import build
from features.xet.tests.test_reading import ask, fetched
from features.xet.tickets import Scope
from features.xet.xorbs.chunks import XorbUnknown
from registry.bytes import blobs, garbage, intake
from registry.bytes.blobs import FileStore, Keys
from registry.kernel.policy import Caller
from registry.models import Blob, Repository, UploadedBlob
from registry.publish import push
from registry.publish.push import MAIN, Intent, Stored
from tests.cast import Cast

DAY = 24 * 3600
NAME = "alice/notes"
CONTENT = build.noise(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
XORB, SHARD = build.whole(CONTENT)


@pytest.fixture
def alice(cast: Cast) -> Caller:
    return cast.session("alice")


@pytest.fixture
def notes(cast: Cast, store, alice, settings) -> Repository:
    """alice/notes, to which nothing came yet."""
    settings.DOORBELL = "tests.hf.wire.notify"
    return cast.repository(NAME)


def send(repository: Repository, by: Caller, xorb: build.Xorb) -> None:
    transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=by)


def deliver(repository: Repository, by: Caller, shard: bytes = SHARD) -> list[blobs.Digest]:
    return transfers.receive_shard(repository, io.BytesIO(shard), by=by)


def commit(repository: Repository, by: Caller, content: bytes = CONTENT) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    push.receive(Intent(repository, MAIN, by, "push"), [Stored("w.bin", sha256, len(content))])


def idle(days: float = 3) -> None:
    Xorb.objects.update(last_used_at=timezone.now() - timedelta(days=days))


def stored_bytes(store) -> int:
    return sum(entry.size for prefix in (Keys.BLOBS, Keys.XORBS, Keys.INDEXES) for entry in store.list(prefix))


def chunks_are_here() -> bool:
    return blobs.object_exists(Keys.xorb(XORB.name))


def test_bytes_are_stored_once_and_old_chunks_are_still_understood(store, cast, notes, alice) -> None:
    send(notes, alice, XORB)
    deliver(notes, alice)
    assert Xorb.objects.get().is_cold
    assert not chunks_are_here()
    assert stored_bytes(store) < 1.01 * sum(Blob.objects.values_list("size", flat=True))
    commit(notes, alice)
    assert fetched(ask(cast, xet_files.readable_file_ids([SHA256])[SHA256], "alice", NAME)) == CONTENT

    # A new version of the file: the client sends what is new, and names the chunks that it remembers, in two ranges.
    new = build.Xorb([b"new" * 20_000])
    edited = CONTENT[50_000:150_000] + new.raws[0] + CONTENT[100_000:]
    terms = [XORB.term(1, 3), new.term(), XORB.term(2, 6)]
    send(notes, alice, new)
    [digest] = deliver(notes, alice, build.shard([build.file_record(edited, terms)]))
    assert digest.sha256 == hashlib.sha256(edited).hexdigest()
    with store.open(Keys.blob(digest.sha256)) as reader:
        assert reader.read() == edited
    assert stored_bytes(store) < 1.01 * sum(Blob.objects.values_list("size", flat=True))
    commit(notes, alice, edited)
    name = xet_files.readable_file_ids([digest.sha256])[digest.sha256]
    assert fetched(ask(cast, name, "alice", NAME)) == edited
    for start, end in ((0, 10), (99_990, 100_010), (159_999, 160_001), (len(edited) - 5, len(edited))):
        part = fetched(ask(cast, name, "alice", NAME, Range=f"bytes={start}-{end - 1}"))
        assert part[: end - start] == edited[start:end], (start, end)


def test_chunks_are_found_in_whichever_file_is_left_and_clients_forget_those_in_none(store, notes, alice) -> None:
    send(notes, alice, XORB)
    deliver(notes, alice)
    edited = CONTENT[50_000:]
    deliver(notes, alice, build.shard([build.file_record(edited, [XORB.term(1, 6)])]))
    address = tickets.store_name(Scope.WRITE, alice)
    UploadedBlob.objects.filter(blob=SHA256).delete()
    Blob.objects.update(created_at=timezone.now() - timedelta(days=3))
    XetFile.objects.update(created_at=timezone.now() - timedelta(days=3))
    garbage.sweep(DAY)
    assert not blobs.object_exists(Keys.blob(SHA256))
    alice.user.refresh_from_db()
    assert tickets.store_name(Scope.WRITE, alice) != address
    again = CONTENT[100_000:]
    assert deliver(notes, alice, build.shard([build.file_record(again, [XORB.term(2, 6)])]))[0].size == len(again)
    lost = [build.file_record(CONTENT, [XORB.term()])]
    address = tickets.store_name(Scope.WRITE, alice)
    with pytest.raises(XorbUnknown):
        deliver(notes, alice, build.shard(lost))
    alice.user.refresh_from_db()
    assert tickets.store_name(Scope.WRITE, alice) != address  # whatever the reason: the next try sends everything


def test_a_xorb_that_is_sent_again_is_cold_after_its_shard_and_one_that_expires_leaves_nothing(
    store, notes, alice, settings
) -> None:
    for scheme in (0, 1, 2):  # the same chunks, packed otherwise by another client
        send(notes, alice, build.Xorb(XORB.raws, scheme))
        assert chunks_are_here()
        assert not Xorb.objects.get().is_cold
        deliver(notes, alice)
        assert Xorb.objects.get().is_cold
        assert not chunks_are_here()
    send(notes, alice, XORB)  # and no shard follows
    garbage.sweep(DAY)
    assert chunks_are_here(), "a shard may be on its way"
    idle(0.1)
    garbage.sweep(DAY)
    assert not chunks_are_here()
    idle(settings.XORB_DAYS + 1)
    assert garbage.sweep(DAY).of_features["xorbs"] == 1
    assert not list(store.list(Keys.INDEXES))


def test_a_xorb_whose_index_was_made_here_is_understood_from_a_client_that_packs(store, notes, alice) -> None:
    from features.xet.xorbs.chunker import XorbBuilder

    filling = XorbBuilder()
    for raw in XORB.raws:
        filling.add(raw)
    xet_files.record(*filling.finish())
    send(notes, alice, build.Xorb(XORB.raws, 2))
    assert deliver(notes, alice)[0].sha256 == SHA256
    assert not chunks_are_here()


@pytest.mark.parametrize("why", ["no shard", "part", "no row", "no object", "short object"])
def test_chunks_stay_that_are_nowhere_else(store, cast, notes, alice, monkeypatch, why) -> None:
    send(notes, alice, XORB)
    with monkeypatch.context() as crash:
        crash.setattr(xet_files, "cool", lambda names, whole: None)
        if why != "no shard":
            deliver(notes, alice)
    idle()
    if why == "part":
        XetFile.objects.get().spans.update(end=5)
    if why == "no row":
        UploadedBlob.objects.filter(blob=SHA256).delete()
        Blob.objects.filter(pk=SHA256).delete()
    if why in ("no object", "short object"):
        store.delete(Keys.blob(SHA256))
    if why == "short object":
        store.put(Keys.blob(SHA256), [CONTENT[:1000]])
    garbage.sweep(DAY)
    assert chunks_are_here()
    assert not Xorb.objects.get().is_cold


def test_chunks_that_a_shard_does_not_use_stay_for_the_next_one(store, notes, alice) -> None:
    send(notes, alice, XORB)
    first, second = CONTENT[:200_000], CONTENT[150_000:]
    deliver(notes, alice, build.shard([build.file_record(first, [XORB.term(0, 4)])]))
    assert chunks_are_here()
    deliver(notes, alice, build.shard([build.file_record(second, [XORB.term(3, 6)])]))
    assert not chunks_are_here()
    assert deliver(notes, alice)[0].sha256 == SHA256


def test_a_client_that_sends_a_xorb_while_it_becomes_cold_keeps_it(store, notes, alice, monkeypatch) -> None:
    drop = xet_files.drop_chunks

    def send_first(name: str) -> bool:
        send(notes, alice, XORB)
        return drop(name)

    send(notes, alice, XORB)
    monkeypatch.setattr(xet_files, "drop_chunks", send_first)
    deliver(notes, alice)
    assert chunks_are_here()
    assert not Xorb.objects.get().is_cold


def _die_after(module: object, name: str, times: int = 1) -> None:
    before, seen = getattr(module, name), []

    def doomed(*given: object, **named: object) -> object:
        result = before(*given, **named)
        seen.append(1)
        if len(seen) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, doomed)


DEATHS = {
    "the file is stored": (FileStore, "put", 1),
    "its row is there": (intake, "register_blobs", 1),
    "its reconstruction is there": (xet_files, "record_file", 1),
    "the index is there": (FileStore, "put", 2),
    "the chunks are deleted": (FileStore, "delete", 1),
    "the xorb is cold": (xet_files, "cool", 1),
}


@pytest.mark.django_db(transaction=True)
def test_a_hub_that_is_killed_at_any_step_loses_nothing_and_stores_it_once_after_the_next_try(
    cast, store, notes, alice
) -> None:
    for seed, (step, death) in enumerate(DEATHS.items()):
        content = build.noise(200_000, 100 + seed)
        xorb, shard = build.whole(content)
        sha256 = hashlib.sha256(content).hexdigest()
        send(notes, alice, xorb)
        connection.close()  # each process has one of its own
        if not (child := os.fork()):
            _die_after(*death)
            deliver(notes, alice, shard)
            os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, step
        assert deliver(notes, alice, shard)[0].sha256 == sha256, step  # the client tries again, and names the xorb
        garbage.sweep_lost_objects(-60)
        assert not blobs.object_exists(Keys.xorb(xorb.name)), step
        commit(notes, alice, content)
        assert fetched(ask(cast, xet_files.readable_file_ids([sha256])[sha256], "alice", NAME)) == content, step


def test_a_crash_before_the_deletion_is_mended(store, notes, alice, monkeypatch) -> None:
    send(notes, alice, XORB)
    monkeypatch.setattr(xet_files, "drop_chunks", lambda name: False)
    deliver(notes, alice)
    monkeypatch.undo()
    assert chunks_are_here()
    assert Xorb.objects.get().is_cold
    assert garbage.sweep_lost_objects(-60) == 1
    assert not chunks_are_here()
    assert blobs.object_exists(Keys.xorb_index(XORB.name))
