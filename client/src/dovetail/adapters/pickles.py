"""Recognises pickles by their bytes and lists what they would import, without ever executing one."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_OPCODES = 2_000_000
PICKLES_IN_A_ROW = 5  # what torch.load reads of a file of the old kind, before raw storage begins (serialization.py)
MAX_PICKLE_BYTES = 64 * 2**20
MAX_TEXTS = 4096
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill")

STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")
TENSOR_IMPORTS = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch Size",
        *(f"torch {kind}Storage" for kind in STORAGES),
        *(f"torch {name}" for name in DTYPES),
    }
)


@dataclass(frozen=True, slots=True)
class Pickle:
    """`imports` is "module name" for each global; `reason` says why the pickle could not be read to its end, if so.

    `texts` are strings in it, of which the names of tensors are some; no more than MAX_TEXTS.
    """

    imports: frozenset[str]
    reason: str = ""
    texts: frozenset[str] = frozenset()

    @property
    def only_tensors(self) -> bool:
        return not self.reason and self.imports <= TENSOR_IMPORTS


def read(name: str, file: BinaryIO) -> Pickle | None:
    """The pickle in a file, or None when it holds none: by its first bytes, and by its suffix when those say nothing.

    What cannot be read to its end counts as a pickle that is not safe: a scanner that skips what it does not understand
    has been the way in before.
    """
    start = file.read(8)
    file.seek(0)
    if start[:4] == b"PK\x03\x04":
        return _in_archive(file, suspect=name.lower().endswith(SUFFIXES))
    # A safetensors header of 128 or 384 bytes begins alike; but no unpickler gets past a zero, which is no instruction.
    looks = len(start) > 1 and start[0] == 0x80 and start[1] <= 5 and start[2:3] != b"\x00"
    return _scan(file) if looks or name.lower().endswith(SUFFIXES) else None


def _in_archive(file: BinaryIO, suspect: bool) -> Pickle | None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith((".pkl", ".pickle"))]
            found = [_member(archive, info) for info in members]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        return Pickle(frozenset(), f"the archive cannot be read: {error}")
    if not found:
        return Pickle(frozenset(), "the archive holds no tensor pickle") if suspect else None
    reasons = [pickle.reason for pickle in found if pickle.reason]
    imports, texts = (
        frozenset[str]().union(*sets) for sets in zip(*((p.imports, p.texts) for p in found), strict=True)
    )
    return Pickle(imports, reasons[0] if reasons else "", texts)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Pickle:
    if info.file_size > MAX_PICKLE_BYTES:
        return Pickle(frozenset(), f"{info.filename} unpacks to {info.file_size:,} bytes")
    with archive.open(info) as member:
        return _scan(io.BytesIO(member.read(MAX_PICKLE_BYTES)))


def _scan(file: BinaryIO) -> Pickle:
    imports: set[str] = set()
    texts: set[str] = set()
    try:
        for _ in range(PICKLES_IN_A_ROW):
            imports.update(_imports(file, texts))
            if not _more(file):
                break
        return Pickle(frozenset(imports), "", frozenset(texts))
    except (ValueError, UnicodeDecodeError, IndexError, OverflowError, AttributeError) as error:
        return Pickle(frozenset(imports), f"it cannot be read to its end: {str(error)[:120]}")


def _more(file: BinaryIO) -> bool:
    start = file.read(2)
    file.seek(-len(start), 1)
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5


def _imports(file: BinaryIO, texts: set[str]) -> Iterator[str]:
    strings: list[str] = ["", ""]
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_OPCODES:
            raise ValueError(f"more than {MAX_OPCODES:,} instructions")
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif (
            opcode.name == "STACK_GLOBAL"
        ):  # takes the two strings before it; a memo may hide them: then it matches nothing
            yield f"{strings[-2]} {strings[-1]}"
        elif opcode.name in ("EXT1", "EXT2", "EXT4"):
            yield f"copyreg extension {argument}"
        elif isinstance(argument, str):
            strings = [strings[-1], argument]
            if len(texts) < MAX_TEXTS and len(argument) <= 256:
                texts.add(argument)
