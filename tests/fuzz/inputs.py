"""Inputs by hypothesis: a seed or a kept input with pieces changed, cut, doubled and put elsewhere."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.readers import READERS

CORPUS = Path(__file__).parent / "corpus"
MOST = 200_000  # bytes of an input
EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF]


@cache
def kept(reader: str) -> Sequence[bytes]:
    """Return the inputs that are kept for a reader: each broke it once, or reached a part that seeds do not."""
    return [file.read_bytes() for file in sorted((CORPUS / reader).glob("*"))]


@cache
def seeds(reader: str) -> Sequence[bytes]:
    return [*READERS[reader].seeds(), *kept(reader)]


@st.composite
def inputs(draw: st.DrawFn, reader: str) -> bytes:
    """Draw bytes that resemble what the reader expects, or none at all that it knows."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=400))
    data = bytearray(draw(st.sampled_from(seeds(reader))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from((0, 1, 2, 4, 8, 64)))
        piece = draw(_pieces(bytes(data)))
        data[at : at + size] = piece
    return bytes(data[: draw(st.sampled_from((len(data), len(data), len(data) - 1, len(data) // 2)))][:MOST])


def _pieces(data: bytes) -> st.SearchStrategy[bytes]:
    """Return what takes the place of a piece: few bytes, a number at the edge of its type, or another piece."""
    numbers = st.builds(
        lambda value, size, order: (value % (1 << 8 * size)).to_bytes(size, order),
        st.sampled_from(EDGES), st.sampled_from((1, 2, 4, 8)), st.sampled_from(("little", "big")),
    )  # fmt: skip
    other = st.builds(
        lambda start, size: data[start : start + size], st.integers(0, max(len(data) - 1, 0)), st.integers(0, 64)
    )
    return st.one_of(st.binary(max_size=8), numbers, other)
