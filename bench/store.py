"""How fast bytes come in and go out: both stores, and a Xet upload step by step: python -m bench.store"""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from registry import blobs, xorbs  # noqa: E402
from registry.blobs import FileStore, Keys, S3Store, pieces  # noqa: E402
from registry.xorbs import chunks, shards  # noqa: E402
from tests.services import seaweedfs  # noqa: E402
from tests.xet import build  # noqa: E402

MIB = 1 << 20
SIZE = 24 * MIB
REPEATS = 5


def report(name: str, step: Callable[[int], object], size: int = SIZE) -> None:
    """Time a step and print it; the step gets the number of the repeat, so that nothing is found done already."""
    times = []
    for number in range(REPEATS):
        started = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - started)
    rate = f"{size / min(times) / MIB:7.0f} MB/s" if size else " " * 12
    print(f"  {name:48}{rate}   best {min(times) * 1000:7.1f} ms, worst {max(times) * 1000:7.1f} ms", flush=True)


@contextmanager
def stores() -> Iterator[dict[str, blobs.BlobStore]]:
    with tempfile.TemporaryDirectory() as folder, seaweedfs() as server:
        os.environ.update(server.environment)
        yield {"folder": FileStore(Path(folder)), "S3 (SeaweedFS)": S3Store("bench", server.endpoint)}


def bench_store(store: blobs.BlobStore) -> None:
    data = build.noise(SIZE)
    report("put 24 MB", lambda n: store.put(f"incoming/{n}", build.split(data, 64 << 10)))
    report("get 24 MB in pieces of 1 MiB", lambda n: sum(map(len, pieces(store.open(f"incoming/{n}")))))
    report("get 24 MB in pieces of 8 B and 64 KiB", lambda n: read_small(store.open(f"incoming/{n}")))
    report("put 1 KiB", lambda n: store.put(f"incoming/s{n}", [data[:1024]]), 0)
    report("size of an object", lambda n: store.size(f"incoming/s{n}"), 0)


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
        for _ in chunks.Verified(io.BytesIO(self.xorb), self.name):
            pass

    def receive(self) -> None:
        xorbs.receive(io.BytesIO(self.xorb), self.name)

    def assemble(self) -> None:
        [file] = shards.read(io.BytesIO(self.shard)).files
        sizes = {self.name: len(self.xorb)}
        xorbs.prove(file, sizes)
        hasher = hashlib.sha256()

        def parts() -> Iterator[bytes]:
            for piece in xorbs.assemble(file, sizes):
                hasher.update(piece)
                yield piece

        blobs.store().put(Keys.blob(file.sha256), parts())
        assert hasher.hexdigest() == file.sha256


def bench_xet(store: blobs.BlobStore) -> None:
    blobs.store = lambda: store  # the steps ask for the configured one
    for scheme, label in ((0, "plain"), (2, "grouped LZ4")):
        uploads = [Upload(number, scheme) for number in range(REPEATS)]
        report(f"{label}: verify a xorb", lambda n, given=uploads: given[n].verify())
        report(f"{label}: verify and store a xorb", lambda n, given=uploads: given[n].receive())
        report(f"{label}: prove, assemble, hash and store a file", lambda n, given=uploads: given[n].assemble())


if __name__ == "__main__":
    with stores() as found:
        for name, store in found.items():
            print(name)
            bench_store(store)
            bench_xet(store)
