"""Garbage collection of a hub with many objects: the hourly sweeps of one day, on the store of files.

`DOVETAIL_BENCH_OBJECTS` is the number of objects (100,000); a tenth are orphans, a hundredth are objects without a row.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
OBJECTS = int(os.environ.pop("DOVETAIL_BENCH_OBJECTS", "100000"))  # popped: the hub refuses names that it does not know

import django

django.setup()

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.line import Line
from registry.bytes import blobs, garbage
from registry.bytes.blobs import Keys
from registry.models import Blob, Repository, UploadedBlob
from tests import cast

ORPHANS, LOST = OBJECTS // 10, OBJECTS // 100
OLD = timedelta(days=3)


def lines() -> Iterator[Line]:
    """Fill a store and a database, and sweep both an hour's part at a time."""
    with tempfile.TemporaryDirectory(prefix="dovetail-garbage-") as folder:
        settings.DOORBELL = "tests.api.conftest.notify_nobody"
        settings.BLOBS = f"file://{folder}/blobs"
        name = connection.creation.create_test_db(verbosity=0)
        try:
            fill(cast.assemble().repository("acme/run"), Path(folder) / "blobs")
            yield from sweep("rows", lambda hour: garbage.sweep(hour=hour).blobs, ORPHANS)
            yield from sweep("lost objects", lambda hour: garbage.sweep_lost_objects(hour=hour), LOST)
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)


def fill(repository: Repository, store: Path) -> None:
    """Write rows and objects that are three days old; all but the orphans were delivered and pushed."""
    digests = [blobs.digest_of(b"%d" % number).sha256 for number in range(OBJECTS)]
    stored, named = digests[LOST:], digests[LOST + ORPHANS :]
    old = timezone.now() - OLD
    Blob.objects.bulk_create((Blob(sha256=digest, size=1, created_at=old) for digest in stored), batch_size=1000)
    pushed = UploadedBlob.Use.PUSHED
    rows = (UploadedBlob(repository=repository, blob_id=digest, use=pushed, created_at=old) for digest in named)
    UploadedBlob.objects.bulk_create(rows, batch_size=1000)
    for digest in digests:
        path = store / Keys.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
        os.utime(path, (old.timestamp(), old.timestamp()))


def sweep(what: str, run: Callable[[int], int], expected: int) -> Iterator[Line]:
    """Do the 24 parts of a day; all that is garbage must be gone afterwards, and nothing else."""
    seconds, removed, queries = [], 0, 0
    for hour in range(garbage.HOURS):
        began = time.process_time()
        with CaptureQueriesContext(connection) as asked:
            removed += run(hour)
        seconds.append(time.process_time() - began)
        queries += len(asked)
    if removed != expected:
        raise SystemExit(f"The sweeps of {what} removed {removed:,}, not {expected:,}.")
    note = f"a day {sum(seconds):.1f} s of CPU, {queries:,} queries, {removed:,} removed of {OBJECTS:,}"
    yield Line(f"sweep of {what}, longest of 24 hourly parts, CPU", max(seconds), "s", note=note)
