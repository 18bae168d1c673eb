"""Xet's hashes against the published examples and against what hf_xet computed."""

import pytest
from blake3 import blake3

from features.xet.xorbs import chunks
from features.xet.xorbs.chunks import XorbInvalid
from tests.sweep import sweep


def test_the_text_of_a_hash_turns_each_eight_bytes_around() -> None:
    text = "07060504030201000f0e0d0c0b0a0908171615141312111f1e1d1c1b1a1918"  # of the specification, one byte short
    assert chunks.to_text(bytes(range(32))) == text[:46] + "10" + text[46:]
    assert chunks.parse_hash(chunks.to_text(bytes(range(32)))) == bytes(range(32))


@pytest.mark.parametrize("name", ["", "0" * 63, "G" * 64, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n"])
def test_what_is_no_hash_is_refused(name: str) -> None:
    with pytest.raises(XorbInvalid, match="64"):
        chunks.parse_hash(name)


def naive_root(leaves: list[tuple[bytes, int]]) -> bytes:
    """The same tree level by level, as the specification tells it, from whole lists."""
    while len(leaves) > 1:
        parents, at = [], 0
        while at < len(leaves):
            rest = leaves[at:]
            end = min(9, len(rest))
            cut = next((i + 1 for i in range(2, end) if int.from_bytes(rest[i][0][24:], "little") % 4 == 0), end)
            group = rest[: cut if len(rest) > 2 else len(rest)]
            lines = "".join(f"{chunks.to_text(node)} : {size}\n" for node, size in group)
            node = blake3(lines.encode(), key=chunks.NODE_KEY).digest()
            parents.append((node, sum(size for _, size in group)))
            at += len(group)
        leaves = parents
    return leaves[0][0] if leaves else bytes(32)


@sweep("count", [0, 1, 2, 3, 4, 8, 9, 10, 11, 27, 81, 100, 1000])
@pytest.mark.parametrize("kind", ["random", "never cut", "always cut"])
def test_the_streamed_root_is_the_root(count: int, kind: str) -> None:
    def leaf(number: int) -> bytes:
        digest = bytearray(chunks.hash_chunk(b"%d" % number))
        if kind != "random":
            digest[24] = 1 if kind == "never cut" else 4
        return bytes(digest)

    leaves = [(leaf(number), number + 1) for number in range(count)]
    assert chunks.hash_xorb(leaves) == naive_root(leaves)
