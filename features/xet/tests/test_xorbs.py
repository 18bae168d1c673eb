"""Xorbs: what is taken, what is refused and what it costs; against hf_xet's own bytes and against forgers."""

import io
import random
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lz4.frame
import pytest

from features.xet import xorbs
from features.xet.tests.build import Xorb, chunk, noise, split
from features.xet.xorbs import chunks
from features.xet.xorbs.chunks import XorbInvalid
from registry.bytes import blobs
from registry.bytes.blobs import BlobStore, FileStore, Keys
from tests.sweep import sweep

CLIENT_XORB = (Path(__file__).parent / "data" / "hf_xet-1.8.0.xorb").read_bytes()
CLIENT_NAME = "ad99e076ff3cb9465817b5f93428273f8b9524bc062e106075fce07c9560ed0d"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    store = FileStore(tmp_path / "blobs")
    monkeypatch.setattr(blobs, "store", lambda: store)
    return store


def read_chunks(data: bytes) -> list[chunks.Chunk]:
    return [one for span in chunks.read_spans(io.BytesIO(data)) for one in span.chunks]


def kept_size(source: "io.BytesIO | Dribble", name: str) -> int:
    """Store a xorb and return the size of the chunks that are kept, which is the offset of the index."""
    index_size = xorbs.store_verified_xorb(source, name)
    return blobs.store().size(Keys.xorb(name)) - index_size


def nothing_is_kept(store: BlobStore) -> bool:
    return not list(store.list(Keys.XORBS))


def test_what_the_client_sends_is_taken(store: BlobStore) -> None:
    assert {stored[4] for stored, _ in read_chunks(CLIENT_XORB)} == {0, 1, 2}
    assert kept_size(io.BytesIO(CLIENT_XORB), CLIENT_NAME) == len(CLIENT_XORB)
    with store.open(Keys.xorb(CLIENT_NAME)) as kept:
        assert kept.read(len(CLIENT_XORB)) == CLIENT_XORB


@pytest.mark.parametrize("scheme", [0, 1, 2])
@sweep("size", [1, 2, 3, 4, 5, 131_071, 131_072])
def test_every_scheme_gives_the_bytes_back(scheme: int, size: int) -> None:
    raw = noise(size)
    assert read_chunks(chunk(raw, scheme))[0].raw == raw


class Dribble:
    """A source that answers less than was asked for, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self.file, self.random = io.BytesIO(data), random.Random(5)

    def read(self, size: int) -> bytes:
        return self.file.read(self.random.randint(1, size))


def test_short_reads_are_no_end() -> None:
    assert kept_size(Dribble(CLIENT_XORB), CLIENT_NAME) == len(CLIENT_XORB)


@pytest.mark.parametrize("size", [100, 65_535, 65_536, 131_072])
def test_chunks_may_end_anywhere_in_what_is_read_at_once(store: BlobStore, size: int) -> None:
    raws = split(noise(min(3 << 20, size * 8000)), size)
    xorb = Xorb(raws)
    assert [bytes(one.raw) for one in read_chunks(xorb.data)] == raws
    assert kept_size(Dribble(xorb.data), xorb.name) == len(xorb.data)
    with store.open(Keys.xorb(xorb.name), 0, len(xorb.data)) as kept:
        assert kept.read() == xorb.data


def test_a_xorb_that_comes_again_is_verified_again(store: BlobStore) -> None:
    xorbs.store_verified_xorb(io.BytesIO(CLIENT_XORB), CLIENT_NAME)
    xorbs.store_verified_xorb(io.BytesIO(CLIENT_XORB), CLIENT_NAME)
    with pytest.raises(XorbInvalid):
        xorbs.store_verified_xorb(io.BytesIO(CLIENT_XORB[:-1]), CLIENT_NAME)
    assert store.size(Keys.xorb(CLIENT_NAME)) > len(CLIENT_XORB)


def test_the_same_chunks_packed_otherwise_leave_what_is_kept_as_it_is(store: BlobStore) -> None:
    raws = [bytes(100_000), b"ab" * 40_000]
    plain, packed = (b"".join(chunk(raw, scheme) for raw in raws) for scheme in (0, 1))
    name = Xorb(raws).name
    assert len(packed) < len(plain)
    for sent in (plain, packed):
        size = kept_size(io.BytesIO(sent), name)
        assert size == len(plain), "the offset of the index in the object that is kept"
        assert xorbs.xorb_index(name, size).count == len(raws)


RAWS = split(noise(200_000))
GOOD = Xorb(RAWS)
BOMB = lz4.frame.compress(bytes(64 << 20))[: 256 << 10]
FRAME = lz4.frame.compress(RAWS[0])


def raw_chunk(packed: bytes, raw_size: int, scheme: int = 1) -> bytes:
    return bytes(1) + len(packed).to_bytes(3, "little") + bytes([scheme]) + raw_size.to_bytes(3, "little") + packed


FORGED = {
    "nothing": b"",
    "half a header": GOOD.data[:5],
    "cut in a chunk": GOOD.data[:-1],
    "cut between chunks": b"".join(chunk(raw) for raw in RAWS[:-1]),
    "another byte": GOOD.data[:-1] + bytes([GOOD.data[-1] ^ 1]),
    "another order": b"".join(chunk(raw) for raw in reversed(RAWS)),
    "a byte too many": GOOD.data + b"\0",
    "a footer": GOOD.data + b"XETBLOB" + bytes(100),
    "an unknown version": chunk(RAWS[0], version=1),
    "an unknown scheme": raw_chunk(RAWS[0], len(RAWS[0]), scheme=3),
    "a raw size too large": chunk(RAWS[0], 1, raw_size=len(RAWS[0]) + 1),
    "a raw size too small": chunk(RAWS[0], 1, raw_size=len(RAWS[0]) - 1),
    "a plain chunk of another size": chunk(RAWS[0], 0, raw_size=len(RAWS[0]) - 1),
    "a chunk over 128 KiB": chunk(bytes(131_073), 1),
    "an empty chunk": chunk(b"", 0),
    "a bomb": raw_chunk(BOMB, 131_072),
    "no LZ4 at all": raw_chunk(RAWS[0], len(RAWS[0])),
    "two LZ4 frames": raw_chunk(FRAME + FRAME, len(RAWS[0])),
    "LZ4 without its end": raw_chunk(FRAME[:-4], len(RAWS[0])),
    "too many chunks": chunk(b"x") * 8193,
}


@sweep("forgery", FORGED)
def test_a_forged_xorb_is_refused_and_not_kept(store: BlobStore, forgery: str) -> None:
    with pytest.raises(XorbInvalid) as refusal:
        xorbs.store_verified_xorb(io.BytesIO(FORGED[forgery]), GOOD.name)
    assert refusal.value.detail.endswith(".")
    assert nothing_is_kept(store)
    assert store.tidy(datetime.now(UTC) + timedelta(days=1)) == 0


def test_a_full_xorb_that_does_not_shrink_is_taken(store: BlobStore) -> None:
    raw = noise(128 << 10)
    full = Xorb([raw] * 512)
    assert len(full.data) == (64 << 20) + 512 * 8
    assert kept_size(io.BytesIO(full.data), full.name) == len(full.data)


def test_a_xorb_may_not_be_larger_than_64_mib_and_its_headers() -> None:
    class Endless:
        part, buffer, given = chunk(bytes(131_072)), b"", 0

        def read(self, size: int) -> bytes:
            while len(self.buffer) < size:
                self.buffer += self.part
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            self.given += len(data)
            return data

    source = Endless()
    with pytest.raises(XorbInvalid, match="64 MiB"):
        xorbs.store_verified_xorb(source, "0" * 64)
    assert source.given < chunks.MAX_XORB_BYTES + (2 << 20)


def test_a_bomb_costs_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(XorbInvalid):
        read_chunks(FORGED["a bomb"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_random_damage_never_passes_and_never_crashes(store: BlobStore) -> None:
    dice = random.Random(11)
    xorb = Xorb(split(noise(30_000) + bytes(30_000), 10_000), scheme=1)
    for _ in range(1500):
        data = bytearray(xorb.data)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(data)) if dice.random() < 0.5 else dice.choice([0, 1, 4, 5, 8, 9, 12, 13, 14])
            data[at] ^= 1 << dice.randrange(8)
        if dice.random() < 0.2:
            del data[dice.randrange(len(data)) :]
        try:
            taken = [chunk.raw for chunk in read_chunks(bytes(data))]
        except XorbInvalid:
            continue
        if taken != xorb.raws:  # well-formed, but other bytes: the hash must tell
            with pytest.raises(XorbInvalid):
                xorbs.store_verified_xorb(io.BytesIO(bytes(data)), xorb.name)
            assert nothing_is_kept(store)
