"""Where files are cut: exactly where hf_xet cuts them, or nothing that was cut here would ever be found again there."""

import random
from collections.abc import Iterator

import hf_xet  # type: ignore[import-untyped]  # compiled, and without types
import pytest

from features.xet.tests import build
from features.xet.xorbs import chunker
from features.xet.xorbs import chunks as hashes
from tests.sweep import sweep

RANDOM = random.Random(7)
NOISE = RANDOM.randbytes(2 << 20)
MIXED = b"".join(
    RANDOM.choice([bytes(size), RANDOM.randbytes(size), b"%d," % size * (size // 8)])
    for size in (RANDOM.randrange(400_000) for _ in range(16))
)
FILES = {
    "noise": NOISE,
    "zeros": bytes((1 << 20) + 5),
    "mixed": MIXED,
    "one byte": b"x",
    "a smallest chunk": NOISE[: 8 << 10],
    "less": NOISE[: (8 << 10) - 1],
    "a largest chunk": bytes(128 << 10),
    "more": bytes((128 << 10) + 1),
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1 << 20, 77_777, 4_000])
@sweep("data", FILES.values())
def test_a_file_has_the_id_that_hf_xet_gives_it_in_whatever_pieces_it_comes(tmp_path, data: bytes, size: int):
    tree, chunks = hashes.Merkle(), list(chunker.cut_chunks(pieces(data, size)))
    for chunk in chunks:
        tree.add(hashes.hash_chunk(chunk), len(chunk))
    assert b"".join(chunks) == data
    (tmp_path / "file").write_bytes(data)
    assert hashes.to_text(tree.file_id()) == hf_xet.hash_files([str(tmp_path / "file")])[0].hash


def test_of_nothing_there_are_no_chunks():
    assert list(chunker.cut_chunks([])) == list(chunker.cut_chunks([b"", b""])) == []


def test_the_index_of_a_xorb_is_that_of_its_chunks_as_they_are():
    filling, raws = chunker.XorbBuilder(), [bytes(100_000), NOISE[:9_999], MIXED[:50_000]]
    digests = [filling.add(raw) for raw in raws]
    name, index = filling.finish()
    assert index.is_of(name)
    assert list(index.chunks(0, 3)) == [(digest, len(raw)) for digest, raw in zip(digests, raws, strict=True)]
    assert [index.span(*part) for part in ((0, 3), (1, 2))] == [index.plain_span(*part) for part in ((0, 3), (1, 2))]
    assert index.span(1, 2) == (100_008, 100_008 + 10_007)
    assert name == build.Xorb(raws).name


def test_a_xorb_is_full_by_what_it_unpacks_to():
    filling, zeros = chunker.XorbBuilder(), bytes(128 << 10)
    while filling.has_room():
        filling.add(zeros)
    assert filling.size == 64 << 20
