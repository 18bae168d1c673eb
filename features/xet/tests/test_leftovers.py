"""Garbage collection: the objects it deletes and those it must keep, also under concurrent uploads."""

import io
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Model
from django.utils import timezone

from features.xet import transfers
from features.xet.models import Xorb
from features.xet.tests import build
from registry.bytes import blobs, garbage, intake
from registry.bytes.blobs import BlobStore, Keys
from registry.kernel.errors import StoreUnavailable
from registry.kernel.policy import Caller
from registry.models import Blob, Repository, Revision, RevisionFile, Upload, UploadedBlob
from tests import live
from tests.cast import Cast
from tests.services import new_database

ROOT = Path(__file__).resolve().parents[3]
DAY = 24 * 3600
CONTENT = b"nobody needs this"
XORB = build.Xorb([CONTENT])


@pytest.fixture
def alice(cast: Cast) -> Caller:
    return cast.session("alice")


@pytest.fixture
def notes(cast: Cast, store: BlobStore) -> Repository:
    return cast.repository("alice/notes")


def age(days: float, *models: type[Model]) -> None:
    for model in models:
        field = "last_used_at" if model is Xorb else "created_at"
        model._default_manager.update(**{field: timezone.now() - timedelta(days=days)})


def commit(repository: Repository, alice: Caller, sha256: str) -> Revision:
    revision = Revision.objects.create(repository=repository, oid="a" * 40, title="first", author=alice.user)
    RevisionFile.objects.create(
        revision=revision, path="a.txt", blob_id=sha256, size=len(CONTENT), is_lfs=False, git_oid="b" * 40
    )
    return revision


def test_a_blob_that_no_revision_names_goes_after_the_grace_period(store, notes, alice) -> None:
    sha256 = intake.receive_inline(notes, CONTENT)[0].sha256
    assert garbage.sweep(DAY).blobs == 0
    age(2, Blob, UploadedBlob)
    assert garbage.sweep(DAY).blobs >= 1
    assert not Blob.objects.filter(pk=sha256).exists()
    assert not blobs.object_exists(Keys.blob(sha256))


def test_an_hour_looks_at_a_part_and_a_day_at_everything(store, notes, alice) -> None:
    made = {intake.receive_inline(notes, f"part {number}".encode())[0].sha256 for number in range(30)}
    kept = intake.receive_inline(notes, CONTENT)[0].sha256
    commit(notes, alice, kept)
    age(2, Blob, UploadedBlob)
    for hour in range(12):
        garbage.sweep(DAY, hour=hour)
    assert 0 < Blob.objects.filter(pk__in=made).count() < 30
    for hour in range(12, 24):
        garbage.sweep(DAY, hour=hour)
    assert not UploadedBlob.objects.filter(blob__in=made).exists()
    assert not Blob.objects.filter(pk__in=made).exists()
    assert Blob.objects.filter(pk=kept).exists()
    assert UploadedBlob.objects.filter(blob=kept, repository=notes).exists()


def test_a_committed_blob_stays_for_ever(store, notes, alice) -> None:
    sha256 = intake.receive_inline(notes, CONTENT)[0].sha256
    revision = commit(notes, alice, sha256)
    age(400, Blob, UploadedBlob)
    garbage.sweep(0)
    assert blobs.object_exists(Keys.blob(sha256))
    assert Blob.objects.filter(pk=sha256).exists()
    revision.delete()
    garbage.sweep(0)
    assert not blobs.object_exists(Keys.blob(sha256))


def test_a_blob_stays_while_another_adapter_waits_for_it(store, notes, alice, cast) -> None:
    sha256 = intake.receive_inline(notes, CONTENT)[0].sha256
    age(2, Blob, UploadedBlob)
    intake.receive_inline(cast.repository("alice/other"), CONTENT)
    garbage.sweep(DAY)
    assert blobs.object_exists(Keys.blob(sha256))
    assert not notes.uploaded_blobs.filter(blob=sha256).exists()


def test_a_xorb_outlives_the_clients_memory_and_then_goes(store, notes, alice, settings) -> None:
    transfers.receive_xorb(notes, XORB.name, io.BytesIO(XORB.data), by=alice)
    age(27, Xorb)
    assert garbage.sweep(0).of_features["xorbs"] == 0
    age(settings.XORB_DAYS + 1, Xorb)
    assert garbage.sweep(DAY).of_features["xorbs"] == 1
    assert not Xorb.objects.exists()
    assert not blobs.object_exists(Keys.xorb(XORB.name))


def test_a_xorb_sent_or_named_again_starts_anew(store, notes, alice, settings) -> None:
    xorb, shard = build.whole(CONTENT)
    transfers.receive_xorb(notes, xorb.name, io.BytesIO(xorb.data), by=alice)
    for again in (
        lambda: transfers.receive_xorb(notes, xorb.name, io.BytesIO(xorb.data), by=alice),
        lambda: transfers.receive_shard(notes, io.BytesIO(shard), by=alice),
    ):
        age(settings.XORB_DAYS + 1, Xorb)
        again()
        assert garbage.sweep(DAY).of_features["xorbs"] == 0


def test_abandoned_uploads_go_with_their_bytes(store, notes, alice) -> None:
    upload = intake.create_upload(notes, "0" * 64, 3, by=alice)
    store.put(Keys.incoming(upload.id), [b"abc"])
    garbage.sweep(0)
    assert blobs.object_exists(Keys.incoming(upload.pk))  # still within its hour
    Upload.objects.update(expires_at=timezone.now() - timedelta(days=2))
    assert garbage.sweep(0).uploads == 1
    assert not Upload.objects.exists()
    assert not list(store.list(Keys.INCOMING))


def test_objects_that_a_crash_left_without_a_row_go_too(store, notes, alice) -> None:
    kept = intake.receive_inline(notes, b"kept")[0].sha256
    store.put(Keys.blob("1" * 64), [b"orphan"])
    store.put(Keys.xorb("2" * 64), [b"orphan"])
    assert garbage.sweep_lost_objects(DAY) == 0
    assert garbage.sweep_lost_objects(0) == 2
    assert blobs.object_exists(Keys.blob(kept))
    assert not blobs.object_exists(Keys.blob("1" * 64))


def test_an_object_written_down_again_before_its_bytes_went_stays(store, notes, alice, monkeypatch) -> None:
    sha256 = intake.receive_inline(notes, CONTENT)[0].sha256
    age(2, Blob, UploadedBlob)
    forget = garbage.forget

    def forget_and_be_overtaken(row):
        forgotten = forget(row)
        intake.receive_inline(notes, CONTENT)
        return forgotten

    monkeypatch.setattr(garbage, "forget", forget_and_be_overtaken)
    garbage.sweep(DAY)
    assert blobs.object_exists(Keys.blob(sha256))
    assert notes.uploaded_blobs.filter(blob=sha256).exists()


def test_bytes_swept_between_the_look_and_the_row_are_written_again(store, notes, alice, monkeypatch) -> None:
    xorb, shard = build.whole(CONTENT)
    transfers.receive_xorb(notes, xorb.name, io.BytesIO(xorb.data), by=alice)
    sha256 = transfers.receive_shard(notes, io.BytesIO(shard), by=alice)[0].sha256
    note = intake._note

    def be_overtaken(*notes):
        store.delete(Keys.blob(sha256))
        note(*notes)

    monkeypatch.setattr(intake, "_note", be_overtaken)
    transfers.receive_xorb(notes, xorb.name, io.BytesIO(xorb.data), by=alice)  # no whole file holds its chunks any more
    transfers.receive_shard(notes, io.BytesIO(shard), by=alice)
    assert blobs.object_exists(Keys.blob(sha256))
    store.delete(Keys.blob(sha256))
    intake.receive_inline(notes, CONTENT)
    assert blobs.object_exists(Keys.blob(sha256))
    upload = intake.create_upload(notes, sha256, len(CONTENT), by=alice)
    store.put(Keys.incoming(upload.id), [CONTENT])
    with pytest.raises(StoreUnavailable):  # its bytes are used up: the client has to send them again
        intake.adopt_staged(upload)


@pytest.mark.merge
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_uploads_and_sweeps_side_by_side_lose_nothing(database: str, tmp_path: Path, request) -> None:
    if database == "postgres":
        url = new_database(request.getfixturevalue("postgres_server"))
        live.make_tables(url)
    else:
        url = f"sqlite:///{shutil.copyfile(live.migrated() / 'db.sqlite3', tmp_path / 'race.db')}"
    environment = {
        "DOVETAIL_DATA": str(tmp_path),
        "DOVETAIL_DATABASE_URL": url,
        "DOVETAIL_SECRET_KEY": "only-for-tests-" * 5,
        "DOVETAIL_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "hub.settings",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client' / 'src'}",
        "PATH": "/usr/bin:/bin",
    }
    race = [sys.executable, "-m", "features.xet.tests.race", "2"]
    done = subprocess.run(race, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    uploads, swept = map(int, done.stdout.split())
    assert uploads > 20
    assert swept > 5
