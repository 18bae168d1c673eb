"""The speed of bytes in and out: both stores, and a Xet upload step by step, against the memory's own speed."""

import hashlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from bench.line import Line
from registry.bytes import blobs, xorbs
from registry.bytes.blobs import Bytes, FileStore, Keys, pieces
from registry.bytes.blobs.s3 import S3Store
from registry.bytes.xorbs import chunks, shards
from tests.services import seaweedfs
from tests.xet import build

MIB = 1 << 20
SIZE = 24 * MIB
REPEATS = 5


def report(name: str, step: Callable[[int], object], size: int = SIZE) -> Line:
    """Time a step; it gets the number of the repeat, so that nothing is found done already."""
    times = []
    for number in range(REPEATS):
        started = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - started)
    milliseconds, note = 1000 * statistics.median(times), f"best {1000 * min(times):.1f}"
    if not size:
        return Line(name, milliseconds, "ms", note=note)
    floor = 1000 * size / MIB / HASHED
    return Line(
        name,
        milliseconds,
        "ms",
        note=f"{note}; {size / MIB / min(times):.0f} MB/s, {milliseconds / floor:.1f} x sha256",
    )


def hashed() -> float:
    """Megabytes a second that sha256 takes here: every byte that comes in is hashed, so nothing can be faster."""
    data = bytes(SIZE)
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        hashlib.sha256(data)
        times.append(time.perf_counter() - began)
    return SIZE / MIB / min(times)


HASHED = hashed()


@contextmanager
def stores() -> Iterator[dict[str, blobs.BlobStore]]:
    with tempfile.TemporaryDirectory() as folder, seaweedfs() as server:
        os.environ.update(server.environment)
        yield {"folder": FileStore(Path(folder)), "S3 (SeaweedFS)": S3Store("bench", server.endpoint)}


def of_bytes(name: str, store: blobs.BlobStore) -> Iterator[Line]:
    data = build.noise(SIZE)
    yield report(f"{name}: put 24 MB", lambda n: store.put(f"incoming/{n}", build.split(data, 64 << 10)))
    yield report(f"{name}: get 24 MB in pieces of 1 MiB", lambda n: sum(map(len, pieces(store.open(f"incoming/{n}")))))
    yield report(f"{name}: get 24 MB in pieces of 8 B and 64 KiB", lambda n: read_small(store.open(f"incoming/{n}")))
    yield report(f"{name}: put 1 KiB", lambda n: store.put(f"incoming/s{n}", [data[:1024]]), 0)
    yield report(f"{name}: size of an object", lambda n: store.size(f"incoming/s{n}"), 0)


def read_small(reader: blobs.Reader) -> None:
    with reader:
        while reader.read(8):
            reader.read(64 << 10)


@dataclass
class Upload:
    """A file of 24 MB, half of it noise and half zeros, as a client sends it."""

    number: int
    scheme: int

    def __post_init__(self) -> None:
        data = build.noise(SIZE // 2, seed=self.number * 10 + self.scheme) + bytes(SIZE // 2)
        xorb = build.Xorb(build.split(data, 64 << 10), self.scheme)
        self.name, self.xorb = xorb.name, xorb.data
        self.shard = build.shard([build.file_record(data, [xorb.term()])])

    def verify(self) -> None:
        for _ in chunks.VerifiedXorb(io.BytesIO(self.xorb), self.name):
            pass

    def receive(self) -> None:
        xorbs.store_verified_xorb(io.BytesIO(self.xorb), self.name)

    def assemble(self) -> None:
        [file] = shards.parse_shard(io.BytesIO(self.shard)).files
        sizes = {self.name: len(self.xorb)}
        xorbs.verify_file(file, sizes)
        hasher = hashlib.sha256()

        def parts() -> Iterator[Bytes]:
            for piece in xorbs.assemble_file(file, sizes):
                hasher.update(piece)
                yield piece

        blobs.store().put(Keys.blob(file.sha256), parts())
        assert hasher.hexdigest() == file.sha256


def of_xet(name: str, store: blobs.BlobStore) -> Iterator[Line]:
    blobs.store = lambda: store  # the steps ask for the configured one
    for scheme, label in ((0, "plain"), (2, "grouped LZ4")):
        uploads = [Upload(number, scheme) for number in range(REPEATS)]
        for what, step in STEPS.items():
            yield report(f"{name}: {label}: {what}", _each(uploads, step))


STEPS: dict[str, Callable[[Upload], None]] = {
    "verify a xorb": Upload.verify,
    "verify and store a xorb": Upload.receive,
    "prove, assemble, hash, store": Upload.assemble,
}


def _each(uploads: list[Upload], step: Callable[[Upload], None]) -> Callable[[int], None]:
    return lambda number: step(uploads[number])


def lines() -> Iterator[Line]:
    yield Line("sha256", HASHED, "MB/s")
    with stores() as by_name:
        for name, store in by_name.items():
            yield from of_bytes(name, store)
            yield from of_xet(name, store)
