"""Chunking of files that were uploaded whole: which files, when, by which worker, and recovery if the worker dies."""

import os
import random
import signal
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from features.xet import jobs, transfers, xet_files, xorbs
from features.xet.feature import FEATURE
from features.xet.jobs import cut_files
from features.xet.models import ChunkingJob, KnownXorb, XetFile, Xorb
from features.xet.tests.test_reading import ask, fetched
from features.xet.xorbs import chunks
from registry.bytes import blobs, garbage, intake
from registry.bytes.blobs import Digest, FileStore, Keys
from registry.models import Blob, Repository, UploadedBlob, User
from registry.publish import branches, push, repositories
from registry.publish.push import MAIN, Deletion, Intent, Stored
from tests.cast import Cast
from tests.hf.wire import Wire, sha256
from workers.tasks import land as task

NAME = "acme/adapter"
CONTENT = random.Random(3).randbytes(700_000)
NAMED = sha256(CONTENT)


@pytest.fixture(autouse=True)
def _small_xorbs(monkeypatch, settings) -> None:
    """A file of 700 kB is several xorbs, and several requests to the store."""
    monkeypatch.setattr("features.xet.xorbs.chunker.LARGEST_XORB", 300_000)
    monkeypatch.setattr(jobs, "SPAN", 200_000)
    settings.DOORBELL = "tests.hf.wire.notify"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def either_store(request, tmp_path: Path, settings) -> None:
    """A store of each kind, which settings.BLOBS names."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    if request.param == "s3":
        settings.BLOBS = request.getfixturevalue("s3_server").url(f"t-{uuid.uuid4()}")
        blobs.store().check()


@pytest.fixture
def repository(cast: Cast, store) -> Repository:
    return delivered(cast)


def delivered(cast: Cast, name: str = NAME, content: bytes = CONTENT, path: str = "w.onnx") -> Repository:
    """Deliver a file whole, and commit it."""
    namespace, _, short = name.partition("/")
    alice = cast.session("alice")
    made = Repository.objects.filter(namespace__name=namespace, name=short).first() or cast.repository(name)
    digest = Digest(sha256(content), len(content))
    intake.store_and_register(made, digest, lambda: [content])
    push.receive(Intent(made, MAIN, alice, "push"), [Stored(path, digest.sha256, digest.size)])
    return made


def later(seconds: int = 3600 * 24) -> None:
    """Let time pass for those that wait."""
    for row in ChunkingJob.objects.all():
        ChunkingJob.objects.filter(pk=row.pk).update(free_at=row.free_at - timedelta(seconds=seconds))


def test_a_file_that_came_whole_can_be_read_by_xet_when_a_worker_was_there(cast, either_store):
    delivered(cast)
    wire = Wire(cast)
    assert "X-Xet-Hash" not in wire.ask("HEAD", f"/{NAME}/resolve/main/w.onnx").headers
    task()
    name = wire.ask("HEAD", f"/{NAME}/resolve/main/w.onnx")["X-Xet-Hash"]
    assert xet_files.readable_file_ids([NAMED]) == {NAMED: name}
    [entry] = [one for one in wire.get(f"/api/models/{NAME}/tree/main").json() if one["path"] == "w.onnx"]
    assert entry["xetHash"] == name
    file = XetFile.objects.get(pk=name)
    assert len(file.xorbs) > 1
    sizes = {one.pk: one.size for one in Xorb.objects.all()}
    terms = [xorbs.Term(xorb, start, end, size, b"") for xorb, start, end, size in file.terms]
    described = xorbs.File(b"", NAMED, terms)
    assert b"".join(xorbs.assemble_file(described, sizes, xet_files.read_chunks)) == CONTENT
    assert fetched(ask(cast, name)) == CONTENT
    assert sum(entry.size for entry in blobs.store().list("")) < 1.01 * len(CONTENT) + 1000, "the bytes are here once"
    assert not ChunkingJob.objects.exists()


def test_what_came_by_xet_is_not_cut_again(cast, repository):
    cut_files()
    copy = delivered(cast, "acme/copy")
    assert copy.revisions.count() == 2
    assert not ChunkingJob.objects.exists()


def test_whoever_may_read_the_file_reads_its_pieces_and_nobody_else(cast, repository):
    cut_files()
    name = xet_files.readable_file_ids([NAMED])[NAMED]
    assert fetched(ask(cast, name)) == CONTENT
    assert fetched(ask(cast, name, Range="bytes=350000-350009"))[:10] == CONTENT[350_000:350_010]
    cast.repository("carol/other", by="carol")
    assert ask(cast, name, name="carol/other").status_code == 404
    Repository.objects.update(private=True)
    assert ask(cast, name).status_code in {401, 404}


def test_who_sends_the_same_bytes_by_xet_is_told_that_they_are_here(cast, repository):
    cut_files()
    file = XetFile.objects.get(sha256=NAMED)
    first = next(xorbs.xorb_index(file.terms[0][0], Xorb.objects.get(pk=file.terms[0][0]).size).chunks(0, 1))[0]
    assert transfers.shard_for_chunk(repository, chunks.to_text(first), by=cast.session("alice"))
    other = cast.repository("carol/other", by="carol")
    assert transfers.shard_for_chunk(other, chunks.to_text(first), by=cast.session("carol")) is None


def test_a_file_goes_to_another_repository_with_its_xet_hash(cast, repository):
    cut_files()
    alice, target = cast.session("alice"), cast.repository("alice/target")
    assert repositories.share(repository, target, [NAMED], alice) == {}
    push.receive(Intent(target, MAIN, alice, "copy"), [Stored("copy.onnx", NAMED)])
    wire = Wire(cast)
    assert (
        wire.ask("HEAD", "/alice/target/resolve/main/copy.onnx")["X-Xet-Hash"]
        == wire.ask("HEAD", f"/{NAME}/resolve/main/w.onnx")["X-Xet-Hash"]
    )


def test_where_nobody_reads_by_xet_nothing_is_cut_until_somebody_may(cast, repository, settings):
    settings.XET_READ = False
    cut_files()
    assert ChunkingJob.objects.get().attempts == 0
    settings.XET_READ = True
    cut_files()
    assert xet_files.readable_file_ids([NAMED])


def test_an_empty_file_has_no_pieces_and_waits_for_nothing(cast, store):
    delivered(cast, content=b"")
    cut_files()
    assert not ChunkingJob.objects.exists()
    assert not XetFile.objects.exists()


@pytest.mark.usefixtures("without_bin")
def test_a_file_that_went_away_meanwhile_is_forgotten(cast, repository):
    repositories.delete(repository, cast.session("alice"))
    old = timezone.now() - timedelta(days=3)
    Blob.objects.update(created_at=old)
    garbage.sweep()
    assert not Blob.objects.filter(pk=NAMED).exists(), "a file that waits keeps nothing alive"
    cut_files()
    assert not ChunkingJob.objects.exists()


@pytest.mark.usefixtures("without_bin")
def test_what_was_cut_of_a_file_goes_as_what_was_pushed_goes(cast, repository, settings):
    cut_files()
    repositories.delete(repository, cast.session("alice"))
    old = timezone.now() - timedelta(days=settings.XORB_DAYS + 1)
    for model, field in ((Blob, "created_at"), (XetFile, "created_at"), (Xorb, "last_used_at")):
        model.objects.update(**{field: old})
    UploadedBlob.objects.update(created_at=old)
    garbage.sweep()
    garbage.sweep()
    assert not XetFile.objects.exists()
    assert not Xorb.objects.exists()
    assert [*blobs.store().list("xorbs/"), *blobs.store().list("indexes/")] == []


@pytest.mark.parametrize("how", ["squash", "forget"])
def test_history_that_is_rewritten_leaves_nothing_to_dangle(cast, repository, how):
    cut_files()
    name, alice = xet_files.readable_file_ids([NAMED])[NAMED], cast.session("alice")
    if how == "squash":
        branches.squash(repository, "main", "one", alice)
        assert fetched(ask(cast, name)) == CONTENT
    else:
        branches.forget_files(repository, [NAMED], alice)
        assert ask(cast, name).status_code == 404
        assert Wire(cast).ask("HEAD", f"/{NAME}/resolve/main/w.onnx").status_code == 404


def test_a_file_whose_pieces_expired_is_cut_again_when_it_is_pushed_again(cast, repository, settings):
    cut_files()
    Xorb.objects.update(last_used_at=timezone.now() - timedelta(days=settings.XORB_DAYS + 1))
    garbage.sweep()
    assert not xet_files.readable_file_ids([NAMED])
    push.receive(
        Intent(repository, MAIN, cast.session("alice"), "moved"), [Deletion("w.onnx"), Stored("v.onnx", NAMED)]
    )
    cut_files()
    assert xet_files.readable_file_ids([NAMED])


def test_a_sweep_ends_in_time_and_the_next_one_goes_on(cast, store, monkeypatch):
    for number in range(3):
        delivered(cast, content=CONTENT[number:])
    monkeypatch.setattr(jobs, "CUTTING_SECONDS", 0)
    cut_files()
    assert ChunkingJob.objects.count() == 3
    monkeypatch.setattr(jobs, "CUTTING_SECONDS", 20)
    cut_files()
    assert not ChunkingJob.objects.exists()


def test_what_cannot_be_cut_waits_longer_each_time_and_holds_nobody_up(cast, repository, caplog):
    key = Keys.blob(NAMED)
    blobs.store().delete(key)
    blobs.store().put(key, [CONTENT[:-1] + b"?"])  # a disk that forgets
    for attempt in range(1, 4):
        cut_files()
        row = ChunkingJob.objects.get(pk=NAMED)
        wait = row.free_at - timezone.now()
        assert row.attempts == attempt
        assert timedelta(seconds=55 * 2 ** (attempt - 1)) < wait <= timedelta(seconds=60 * 2 ** (attempt - 1))
        later()
    assert "The stored bytes do not match" in caplog.text
    assert not xet_files.readable_file_ids([NAMED])
    delivered(cast, "acme/sound", CONTENT[1:])
    cut_files()
    assert xet_files.readable_file_ids([sha256(CONTENT[1:])])
    blobs.store().delete(key)
    later()
    cut_files()
    assert ChunkingJob.objects.get().pk == NAMED


def test_two_workers_take_different_files(cast, repository):
    first, second = jobs.claim(), jobs.claim()
    assert first is not None
    assert second is None
    delivered(cast, "acme/other", CONTENT[1:])
    assert jobs.claim().pk == sha256(CONTENT[1:])


# --- death -----------------------------------------------------------------------------------------------------------
def _then_die(module: object, name: str) -> None:
    before = getattr(module, name)

    def doomed(*given: object) -> None:
        before(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, doomed)


DEATHS = {
    "it was claimed": (jobs, "claim"),
    "an index is there": (FileStore, "put"),
    "a xorb's row is there": (xet_files, "record"),
    "it was said how it is made": (xet_files, "record_file"),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", DEATHS)
def test_a_worker_that_is_killed_leaves_nothing_half_written(cast, store, step):
    delivered(cast)
    connection.close()  # each process has one of its own
    if not (child := os.fork()):
        _then_die(*DEATHS[step])
        cut_files()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert bool(xet_files.readable_file_ids([NAMED])) == (step == "it was said how it is made")
    cut_files()
    assert ChunkingJob.objects.get().attempts == 1, "its lease is not over"
    later(120)
    cut_files()
    assert not ChunkingJob.objects.exists()
    assert fetched(ask(cast, xet_files.readable_file_ids([NAMED])[NAMED])) == CONTENT


def test_what_a_backup_lacks_is_forgotten_and_cut_again(repository):
    lost, copied = "a" * 64, "b" * 64
    blobs.store().put(Keys.xorb(copied), [b"chunks"])
    ChunkingJob.objects.all().delete()
    for name in (lost, copied):
        Xorb.objects.create(pk=name, size=6)
        KnownXorb.objects.create(person=User.objects.get(username="alice"), xorb=name)
    XetFile.objects.create(pk="c" * 64, sha256=NAMED, size=7, terms=[[lost, 0, 1, 7]]).spans.create(
        xorb=lost, start=0, end=1, at=0
    )
    FEATURE.restored()
    # The file is offered whole until it was cut again, and nobody may leave its chunks out.
    assert list(Xorb.objects.values_list("pk", flat=True)) == [copied]
    assert not XetFile.objects.exists()
    assert not KnownXorb.objects.exclude(xorb=copied).exists()
    assert list(ChunkingJob.objects.values_list("pk", flat=True)) == [NAMED]
