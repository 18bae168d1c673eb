"""Stores under failure: killed writers, full disks, unreachable servers."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from django.core.exceptions import ImproperlyConfigured

from features.buckets.s3 import S3Store
from features.buckets.s3_requests import FAILURES, PLACES, Breaker
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, BlobStore, FileStore, Keys
from registry.kernel.errors import StoreUnavailable
from tests.services import free_ports, seaweedfs

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = Keys.blob("a" * 64)
LATER = timedelta(minutes=5)

DYING_WRITER = """
import os, sys
from registry.bytes import blobs
from django.conf import settings
from features.buckets.feature import FEATURE
from registry.kernel import seams
settings.configure(BLOBS=sys.argv[1])
seams.join([FEATURE])
def parts():
    yield bytes(10 << 20)
    yield bytes(10 << 20)
    os.kill(os.getpid(), 9)
blobs.store().put(sys.argv[2], parts())
"""


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path / 'blobs'}"
    return request.getfixturevalue("s3_server").url(f"f-{os.urandom(6).hex()}")


def test_a_writer_killed_half_way_leaves_nothing_but_what_tidy_finds(url: str, settings) -> None:
    settings.BLOBS = url
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DYING_WRITER, url, KEY]
    assert subprocess.run(command, env=environment, cwd=ROOT).returncode == -9
    store = blobs.store()
    with pytest.raises(BlobMissing):
        store.size(KEY)
    assert list(store.list(Keys.BLOBS)) == []
    assert store.tidy(datetime.now(UTC) - LATER) == 0
    assert store.tidy(datetime.now(UTC) + LATER) == 1
    assert store.tidy(datetime.now(UTC) + LATER) == 0
    assert store.put(KEY, [b"whole"]) is True


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = FileStore(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            store.put(KEY, [b"x"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.put(KEY, [b"x"]) is True


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch) -> None:
    whole = os.writev

    def short(file: int, parts: list[memoryview]) -> int:
        return whole(file, [memoryview(b"".join(parts))[:50_001]])

    monkeypatch.setattr(os, "writev", short)
    data = os.urandom(700_000)
    FileStore(tmp_path).put(KEY, (data[start : start + 7_777] for start in range(0, len(data), 7_777)))
    assert (tmp_path / KEY).read_bytes() == data


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        FileStore(tmp_path / "file" / "blobs")


def test_a_folder_that_lost_its_disk_is_not_ready(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "blobs")
    (tmp_path / "blobs" / "unfinished").rmdir()
    (tmp_path / "blobs").rmdir()
    with pytest.raises((StoreUnavailable, BlobMissing)):
        store.check()


def test_an_s3_that_is_not_there_is_said_soon(s3_server) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="does not respond"):
        S3Store("bucket", f"http://127.0.0.1:{free_ports()[0]}").check()
    assert time.monotonic() - started < 120


def test_a_web_process_can_be_prepared_while_its_s3_does_not_answer(s3_server, settings) -> None:
    settings.BLOBS = f"s3://bucket?endpoint=http://127.0.0.1:{free_ports()[0]}"
    blobs.load_driver()
    assert blobs.store().presigned_get(KEY, "x", 60), "links to download are signed here"
    with pytest.raises(StoreUnavailable):
        blobs.store().check()


def test_an_s3_that_goes_away_is_said_by_every_verb(s3_server) -> None:
    with seaweedfs() as server:
        store = S3Store("bucket", server.endpoint)
        store.put(KEY, [bytes(20 << 20)])
        reader = store.open(KEY)
        reader.read(10)
    verbs = {
        "check": store.check,
        "size": lambda: store.size(KEY),
        "open": lambda: store.open(KEY),
        "put": lambda: store.put(Keys.blob("b" * 64), [b"x"]),
        "put parts": lambda: store.put(Keys.blob("b" * 64), [bytes(20 << 20)]),
        "promote": lambda: store.promote("incoming/x", KEY, "v"),
        "delete": lambda: store.delete(KEY),
        "list": lambda: list(store.list("")),
        "tidy": lambda: store.tidy(datetime.now(UTC)),
        "the rest of an open object": lambda: reader.read(),
    }
    for name, verb in verbs.items():
        with pytest.raises(StoreUnavailable):
            pytest.fail(f"{name} answered {verb()!r}")


def _command(process: psutil.Process) -> list[str]:
    """Return the command line; an empty one for a process that another test has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.merge
@pytest.mark.parametrize("who", ["job", "command"])
def test_who_works_without_a_request_waits_for_an_s3_that_hangs_for_some_seconds(s3_server, monkeypatch, who) -> None:
    with seaweedfs() as server:
        S3Store("bucket", server.endpoint).put(KEY, [b"x" * 100])
        monkeypatch.setattr(blobs, who, threading.Event())
        getattr(blobs, who).set()
        patient = blobs.store_at(f"s3://bucket?endpoint={server.endpoint}")
        [weed] = [one for one in psutil.Process().children() if f"-s3.port={server.endpoint[-5:]}" in _command(one)]
        weed.suspend()
        threading.Timer(5, weed.resume).start()
        assert patient.size(KEY) == 100


@pytest.mark.merge
def test_an_s3_that_hangs_costs_two_seconds_and_then_nothing(s3_server) -> None:
    with seaweedfs() as server:
        store = S3Store("bucket", server.endpoint)
        store.put(KEY, [b"x" * 100])
        [weed] = [one for one in psutil.Process().children() if f"-s3.port={server.endpoint[-5:]}" in _command(one)]
        weed.suspend()
        try:
            waited = [_seconds_until_refused(store) for _ in range(FAILURES + 20)]
            assert max(waited) < 5, "two seconds, on a machine that is slow at times"
            assert max(waited[FAILURES:]) < 0.5, "it counts as away: nobody waits for it"
            with ThreadPoolExecutor(PLACES * 2) as pool:
                assert max(pool.map(lambda _: _seconds_until_refused(store), range(PLACES * 2))) < 5
            assert store.presigned_get(KEY, "x", 60), "links are signed here"
        finally:
            weed.resume()
        deadline = time.monotonic() + 180
        while True:  # it is asked again by itself
            try:
                assert store.size(KEY) == 100
                break
            except StoreUnavailable:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def _seconds_until_refused(store: S3Store) -> float:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.open(KEY)
    return time.monotonic() - started


def test_no_more_calls_wait_for_a_store_than_it_has_places() -> None:
    breaker = Breaker(TimeoutError, places=2)
    with breaker.call(), breaker.call(), pytest.raises(StoreUnavailable, match="Too many"), breaker.call():
        pytest.fail("a third call was let through")
    with breaker.call():
        pass


def test_a_store_that_answers_no_is_there_again() -> None:
    """A look for an object that is not there is the first call that a store back from a pause may get."""
    breaker = Breaker((TimeoutError, ConnectionError))
    for error in (TimeoutError, ConnectionError) * FAILURES:
        with contextlib.suppress(error, StoreUnavailable), breaker.call():
            raise error
    with pytest.raises(StoreUnavailable, match="does not respond"), breaker.call():
        pytest.fail("it counts as away")
    breaker._closed_until = 0.0
    with pytest.raises(BlobMissing), breaker.call():
        raise BlobMissing(KEY)
    with breaker.call():
        pass


def test_wrong_credentials_are_no_missing_blob(s3_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreUnavailable, match="403"):
        S3Store("bucket", s3_server.endpoint, seconds=60).check()


def test_many_processes_may_find_the_bucket_missing_at_once(s3_server) -> None:
    bucket = f"m-{os.urandom(6).hex()}"
    with ThreadPoolExecutor(6) as pool:
        stores = [S3Store(bucket, s3_server.endpoint, seconds=60) for _ in range(6)]
        list(pool.map(S3Store.check, stores))
    assert stores[0].put(KEY, [b"x"]) is True
    assert stores[5].size(KEY) == 1


def test_a_bucket_that_cannot_be_made_is_said(s3_server) -> None:
    with pytest.raises(StoreUnavailable, match="InvalidBucketName"):
        S3Store("nb", s3_server.endpoint, seconds=60).check()


@pytest.mark.parametrize("url", ["", "blobs", "http://host/bucket", "s3://", "s3:///bucket"])
def test_a_setting_that_names_no_store_is_refused(url: str, settings) -> None:
    settings.BLOBS = url
    with pytest.raises(ImproperlyConfigured, match="DOVETAIL_BLOBS"):
        blobs.store()


def test_one_store_serves_a_process(url: str, settings) -> None:
    settings.BLOBS = url
    first: BlobStore = blobs.store()
    assert blobs.store() is first


def test_bytes_over_the_copy_limit_are_promoted_by_parts(s3_server) -> None:
    data = bytes(range(256)) * (48 << 10)  # 12 MiB
    store = S3Store(f"c-{os.urandom(6).hex()}", s3_server.endpoint, copy_limit=5 << 20, seconds=60)
    store.put("incoming/big", [data])
    with store.open("incoming/big") as reader:
        reader.read(1)
    store.promote("incoming/big", KEY, reader.version)
    with store.open(KEY) as promoted:
        assert promoted.read() == data
    assert list(store.list("incoming/")) == []
