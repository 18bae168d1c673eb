"""Opens the files of an adapter, and reads tensors block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dovetail.adapters.files.header import Header, Opener, TensorInfo

MAX_FILES = 10_000
BLOCK_BYTES = 8 * 2**20


def opener_of(path: Path) -> Opener:
    return lambda: path.open("rb")


def files_in(folder: Path) -> dict[str, Opener]:
    """Return the regular files under a folder by their relative path; symbolic links are left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): opener_of(path) for path in paths[:MAX_FILES]}


def blocks_of(opener: Opener, tensor: TensorInfo) -> Iterator[bytes]:
    """Yield the bytes of a tensor in blocks of whole values, so that memory does not grow with the file."""
    with opener() as file:
        for start in range(tensor.offset, tensor.end, BLOCK_BYTES):
            file.seek(start)
            yield file.read(min(BLOCK_BYTES, tensor.end - start))


@dataclass(frozen=True, slots=True)
class Source:
    """A file of tensors; `path` is its path in the part of the adapter that lies in `place`, "" for the top."""

    path: str
    opener: Opener
    header: Callable[[], Header]
    place: str = ""
    is_head: bool = False  # True if it holds the head beside an adapter

    @property
    def size(self) -> int:
        """The size in bytes."""
        with self.opener() as file:
            return file.seek(0, 2)

    def blocks(self) -> Iterator[tuple[str, TensorInfo, bytes]]:
        """Yield name, tensor and a piece of its bytes, for every piece of the file."""
        for name, tensor in self.header().tensors.items():
            for block in blocks_of(self.opener, tensor):
                yield name, tensor, block


@dataclass(frozen=True, slots=True)
class Effect:
    """Tensors that must not all be zero, since a part of an adapter then changes nothing; all in one file."""

    what: str  # one of them, in words
    tensors: Mapping[str, Sequence[TensorInfo]]  # by module or by another name
    source: Source
    is_by_module: bool = False  # True if a single module of zeros is worth a warning
    may_be_zero: bool = False  # True if other tensors have an effect too


def placed(sources: Sequence[Source], place: str) -> list[Source]:
    """Return the files of one part of an adapter, which lies in a folder of its own."""
    return [replace(source, place=place) for source in sources]
