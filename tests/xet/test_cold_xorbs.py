"""Cold xorbs: bytes are stored once when nobody reads chunks, and a client that names old chunks is understood."""

import hashlib
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from hub.xet import tickets
from hub.xet.tickets import Scope
from registry.bytes import blobs, cold_xorbs, garbage, intake, xet_files
from registry.bytes.blobs import Keys
from registry.kernel.errors import XorbUnknown
from registry.kernel.policy import Caller
from registry.models import Blob, Repository, UploadedBlob, XetFile, Xorb
from tests.cast import Cast
from tests.xet import build

DAY = 24 * 3600
CONTENT = build.noise(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
XORB, SHARD = build.whole(CONTENT)


@pytest.fixture
def alice(cast: Cast) -> Caller:
    return cast.session("alice")


@pytest.fixture
def notes(cast: Cast, store, alice) -> Repository:
    """alice/notes, to which a file came by Xet three days ago."""
    made = cast.repository("alice/notes")
    send(made, alice, XORB)
    intake.receive_shard(made, io.BytesIO(SHARD), by=alice)
    idle()
    return made


def send(repository: Repository, by: Caller, xorb: build.Xorb) -> None:
    intake.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=by)


def idle(days: float = 3) -> None:
    Xorb.objects.update(last_used_at=timezone.now() - timedelta(days=days))


def stored_bytes(store) -> int:
    return sum(entry.size for prefix in (Keys.BLOBS, Keys.XORBS, Keys.INDEXES) for entry in store.list(prefix))


def chunks_are_here() -> bool:
    return blobs.object_exists(Keys.xorb(XORB.name))


def test_bytes_are_stored_once_and_old_chunks_are_still_understood(store, notes, alice) -> None:
    unique = sum(Blob.objects.values_list("size", flat=True))
    assert stored_bytes(store) > 1.9 * unique
    garbage.sweep(DAY)
    assert Xorb.objects.get().is_cold
    assert not chunks_are_here()
    assert stored_bytes(store) < 1.01 * unique
    assert xet_files.readable_file_ids([SHA256]) == {}  # readers get the whole file

    # A new version of the file: the client sends what is new, and names the chunks that it remembers, in two ranges.
    new = build.Xorb([b"new" * 20_000])
    edited = CONTENT[50_000:150_000] + new.raws[0] + CONTENT[100_000:]
    terms = [XORB.term(1, 3), new.term(), XORB.term(2, 6)]
    send(notes, alice, new)
    [digest] = intake.receive_shard(notes, io.BytesIO(build.shard([build.file_record(edited, terms)])), by=alice)
    assert digest.sha256 == hashlib.sha256(edited).hexdigest()
    with store.open(Keys.blob(digest.sha256)) as reader:
        assert reader.read() == edited
    # The chunks are found in whichever file is left, and the client's next push names none of them: one is in no file.
    address = tickets.store_name(Scope.WRITE, alice)
    UploadedBlob.objects.filter(blob=SHA256).delete()
    Blob.objects.update(created_at=timezone.now() - timedelta(days=3))
    XetFile.objects.update(created_at=timezone.now() - timedelta(days=3))
    garbage.sweep(DAY)
    assert not blobs.object_exists(Keys.blob(SHA256))
    alice.user.refresh_from_db()
    assert tickets.store_name(Scope.WRITE, alice) != address
    again = CONTENT[50_000:300_000]
    spans = [build.file_record(again, [XORB.term(1, 6)])]
    assert intake.receive_shard(notes, io.BytesIO(build.shard(spans)), by=alice)[0].size == len(again)
    lost = [build.file_record(CONTENT, [XORB.term()])]
    address = tickets.store_name(Scope.WRITE, alice)
    with pytest.raises(XorbUnknown):
        intake.receive_shard(notes, io.BytesIO(build.shard(lost)), by=alice)
    alice.user.refresh_from_db()
    assert tickets.store_name(Scope.WRITE, alice) != address  # whatever the reason: the next try sends everything


def test_a_xorb_that_is_sent_again_is_warm_and_one_that_expires_leaves_nothing(store, notes, alice, settings) -> None:
    garbage.sweep(DAY)
    send(notes, alice, XORB)
    assert chunks_are_here()
    assert not Xorb.objects.get().is_cold
    assert set(xet_files.readable_file_ids([SHA256])) == {SHA256}
    idle()
    garbage.sweep(DAY)
    assert Xorb.objects.get().is_cold
    idle(settings.XORB_DAYS + 1)
    assert garbage.sweep(DAY).xorbs == 1
    assert not list(store.list(Keys.INDEXES))


@pytest.mark.parametrize("why", ["used", "off", "part", "no row", "no object", "short object"])
def test_chunks_stay_that_are_in_use_or_nowhere_else(store, cast, notes, alice, settings, why) -> None:
    if why == "used":
        idle(1)
    if why == "off":
        settings.XORB_HOURS = 0
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


def test_a_client_that_sends_a_xorb_while_it_becomes_cold_keeps_it(store, notes, alice, monkeypatch) -> None:
    drop = cold_xorbs.drop_chunks

    def send_first(name: str) -> bool:
        send(notes, alice, XORB)
        return drop(name)

    monkeypatch.setattr(cold_xorbs, "drop_chunks", send_first)
    garbage.sweep(DAY)
    assert chunks_are_here()
    assert not Xorb.objects.get().is_cold


def test_a_crash_before_the_deletion_is_mended(store, notes, alice, monkeypatch) -> None:
    monkeypatch.setattr(cold_xorbs, "drop_chunks", lambda name: False)
    garbage.sweep(DAY)
    monkeypatch.undo()
    assert chunks_are_here()
    assert Xorb.objects.get().is_cold
    assert garbage.sweep_lost_objects(-60) == 1
    assert not chunks_are_here()
    assert blobs.object_exists(Keys.xorb_index(XORB.name))
