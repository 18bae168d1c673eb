"""Backup and restore: a copy of the database, a list of the blobs it needs, and copies of these in another store.

DIR/backup.json      format, database, time, newest migration
DIR/database         SQLite file or PostgreSQL custom-format dump; holds password hashes, so only its owner reads it
DIR/blobs.jsonl      one line a blob: {"sha256", "size"}
"""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypedDict

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from registry.bytes.blobs import BlobMissing, BlobStore, Bytes, BytesChanged, Digest, Hasher, Keys, hash_through, pieces
from registry.bytes.object_copies import ABSENT, problems
from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.kernel.seams import Feature, Gauge
from registry.models import AuditEvent, Blob, Namespace, Repository

FORMAT = 1
ABOUT, DATABASE, BLOBS = "backup.json", "database", "blobs.jsonl"


class About(TypedDict):
    """The content of `backup.json`: the form of the backup, and the time and the migration at which it was made."""

    format: int
    database: str
    made_at: str
    migration: str


@contextmanager
def new_backup(folder: Path) -> Iterator[None]:
    """Write a backup into a new or empty folder; an error inside the block leaves nothing of it. Raises ValueInvalid.

    The dump comes first. The objects it refers to stay in the store meanwhile: they are swept a day after their rows
    are gone at the earliest, so the block copies them at once.
    """
    is_new = not folder.exists()
    if not is_new and any(folder.iterdir()):
        raise ValueInvalid(f"{folder} is not empty.", fix="Give a new folder for each backup.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as undo:
        undo.callback(_remove, folder, whole=is_new)
        _write(folder)
        yield
        undo.pop_all()


def record(folder: Path, blobs: int) -> None:
    """Enter a complete backup in the audit log."""
    audit.record(None, "backup:make", str(folder), after={"blobs": blobs})


def last_made_at() -> datetime | None:
    """Return when the newest complete backup was recorded; None without one."""
    made = AuditEvent.objects.filter(action="backup:make").order_by("-pk")
    return made.values_list("at", flat=True).first()


def _remove(folder: Path, *, whole: bool) -> None:
    for name in (ABOUT, DATABASE, BLOBS):
        (folder / name).unlink(missing_ok=True)
    if whole:
        folder.rmdir()


def _write(folder: Path) -> None:
    about: About = {
        "format": FORMAT,
        "database": connection.vendor,
        "made_at": timezone.now().isoformat(),
        "migration": _newest_migration(),
    }
    os.close(os.open(folder / DATABASE, os.O_CREAT | os.O_EXCL, 0o600))
    _dump(folder / DATABASE)
    with (folder / BLOBS).open("x") as lines:
        for sha256, size in Blob.objects.order_by("sha256").values_list("sha256", "size").iterator():
            lines.write(json.dumps({"sha256": sha256, "size": size}) + "\n")
    # Last, because a folder without it counts as unfinished.
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


def restore_backup(folder: Path) -> None:
    """Replace this hub's database, which must be empty and of the same kind, by the backup's. Raises ValueInvalid."""
    about = _about(folder)
    if about["format"] != FORMAT or about["database"] != connection.vendor:
        raise ValueInvalid(
            f"{folder} holds a {about['database']} database in format {about['format']}; "
            f"this hub has {connection.vendor} and reads format {FORMAT}.",
            fix="Restore into a hub of the same kind.",
        )
    if _has_tables() and (Namespace.objects.exists() or Repository.objects.exists()):
        raise ValueInvalid(
            "This hub is not empty.", fix="Restore into a new DOVETAIL_DATA or a new database; nothing was changed."
        )
    _load(folder / DATABASE)


def listed(folder: Path) -> Iterator[Digest]:
    """Yield the digest of each blob that a backup lists."""
    with (folder / BLOBS).open() as lines:
        for blob in map(json.loads, lines):
            yield Digest(blob["sha256"], blob["size"])


def _about(folder: Path) -> About:
    try:
        about: About = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        raise ValueInvalid(
            f"{folder} does not contain a complete backup.", fix="Give a folder that `backup` wrote."
        ) from None
    return about


def _newest_migration() -> str:
    recorded = MigrationRecorder.Migration.objects.filter(app="registry").order_by("-name")
    return recorded.values_list("name", flat=True).first() or ""


def _has_tables() -> bool:
    return Namespace._meta.db_table in connection.introspection.table_names()


# --- the two databases ----------------------------------------------------------------------------------------------
def _dump(file: Path) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # One snapshot, also while others write; the file is there, empty, and its owner's alone from the beginning.
            cursor.execute("VACUUM INTO %s", [str(file)])
    else:
        _postgres("pg_dump", "--format=custom", "--no-owner", f"--file={file}")


def _load(file: Path) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        source = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            source.backup(connection.connection)
        finally:
            source.close()
    else:
        connection.close()
        _postgres("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(file))


def _postgres(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on our database; the password travels in the environment, not in the command."""
    if shutil.which(program) is None:
        raise ValueInvalid(f"{program} is not on the PATH.", fix="Install PostgreSQL's client programs.")
    database = connection.settings_dict
    environment = os.environ | {"PGPASSWORD": database["PASSWORD"]}
    server = [f"--host={database['HOST']}", f"--port={database['PORT'] or 5432}", f"--username={database['USER']}"]
    options = {name: value for name, value in database["OPTIONS"].items() if name != "pool"}  # such as sslmode
    target = make_conninfo(dbname=database["NAME"], **options)
    command = [program, *server, f"--dbname={target}", "--no-password", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it gave no reason"])[0]
        raise ValueInvalid(f"{program} failed: {why}", fix="Use the same version as the server, or a newer one.")


# --- the bytes -------------------------------------------------------------------------------------------------------
def copy(digests: Iterable[Digest], source: BlobStore, target: BlobStore) -> Iterator[tuple[str, str]]:
    """Copy the objects that `target` lacks, hashing them on the way; yield (sha256, problem) of those that failed."""
    yield from problems(partial(_copy, source=source, target=target), digests)


def missing(digests: Iterable[Digest], store: BlobStore) -> Iterator[tuple[str, str]]:
    """Yield (sha256, problem) of each object that the store does not hold with the right size."""
    yield from problems(partial(_absence, store=store), digests)


def copy_audit_heads(source: BlobStore, target: BlobStore) -> None:
    """Copy the daily heads of the audit log that `target` lacks."""
    for entry in source.list(Keys.AUDIT):
        target.put(entry.key, pieces(source.open(entry.key)))


def _copy(digest: Digest, source: BlobStore, target: BlobStore) -> str:
    key, absence = Keys.blob(digest.sha256), _absence(digest, target)
    if not absence:
        return ""
    if absence != ABSENT:
        target.delete(key)
    try:
        target.put(key, _whole(digest, source))
    except BlobMissing:
        return ABSENT
    except BytesChanged:
        return "the stored bytes have another sha256"
    return ""


def _whole(digest: Digest, source: BlobStore) -> Iterator[Bytes]:
    """Yield the bytes of an object. Raises BytesChanged at their end, so that nothing wrong is kept."""
    hasher = Hasher()
    yield from hash_through(pieces(source.open(Keys.blob(digest.sha256))), hasher)
    if hasher.digest() != digest:
        raise BytesChanged(digest.sha256)


def _absence(digest: Digest, store: BlobStore) -> str:
    try:
        size = store.size(Keys.blob(digest.sha256))
    except BlobMissing:
        return ABSENT
    return "" if size == digest.size else f"{size:,} bytes are stored, not {digest.size:,}"


def _counts() -> Iterator[Gauge]:
    """Yield the age of the newest backup; without one no number: not every hub is backed up by our command."""
    if made_at := last_made_at():
        seconds = max((timezone.now() - made_at).total_seconds(), 0.0)
        yield Gauge(
            "dovetail_backup_age_seconds",
            "Since `manage.py backup` last ended well, counted about a minute ago.",
            seconds,
        )


FEATURE = Feature(counts=_counts)
