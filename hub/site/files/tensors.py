"""The contents of a safetensors file for its page, from its header alone: names, shapes and counts."""

from dataclasses import dataclass

from dovetail.adapters import HeaderError
from dovetail.adapters.files import header as headers
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Tensors:
    """The first rows (name, dtype, shape, number of values) of `count` tensors, or why the header is refused."""

    rows: list[tuple[str, str, str, int]]
    count: int
    parameters: int
    problem: str = ""


def tensors_of(entry: Entry) -> Tensors | None:
    """Read the header of a safetensors file; None for every other file."""
    if not entry.path.endswith(".safetensors"):
        return None
    try:
        header = headers.read(BlobFile(entry.sha256, entry.size))  # type: ignore[arg-type]  # all that is used of a BinaryIO
    except HeaderError as error:
        return Tensors([], 0, 0, str(error))
    rows = [
        (name, tensor.dtype, " × ".join(map(str, tensor.shape)) or "scalar", tensor.values)
        for name, tensor in list(header.tensors.items())[:MOST_ROWS]
    ]
    return Tensors(rows, len(header.tensors), header.parameters)
