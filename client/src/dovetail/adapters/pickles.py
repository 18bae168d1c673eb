"""Recognises pickles by their bytes and lists their imports, without executing them."""

from __future__ import annotations

import io
import pickletools
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from dovetail.adapters.reach import reaches_import
from dovetail.adapters.torchfile import BROKEN
from dovetail.adapters.unpickling import GLOBALS

MAX_OPCODES = 2_000_000
PICKLES_IN_A_ROW = 5  # the pickles in a file of torch's legacy format, before the raw storages (serialization.py)
MAX_PICKLE_BYTES = 64 * 2**20
MAX_TEXTS = 4096
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill")
# The *.bin files that peft, adapters, transformers, accelerate and diffusers open by default; others may be anything.
OPENED = (
    "adapter", "pytorch_", "diffusion_pytorch_", "learned_embeds", "training_args", "optimizer", "scheduler", "scaler",
    "rng_state", "embedding",
)  # fmt: skip
Instruction = tuple[pickletools.OpcodeInfo, Any, int | None]
FRAME_BYTES = 9  # of the instruction itself
TAR = "it is a tar, in which torch once kept its pickles; they were not looked for"
BEHIND = "another one behind it would import what was not looked for"

DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")
TENSOR_IMPORTS = GLOBALS | {f"torch {name}" for name in DTYPES}
UNKNOWN = "a name that it makes up while it runs"
KEEPING = ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT")
GETATTR = frozenset({"__builtin__ getattr", "builtins getattr"})
MEMBER = "a member of an enumeration"  # what Python before 3.11.4 pickles as getattr(Class, "MEMBER")


@dataclass(frozen=True, slots=True)
class Pickle:
    """`imports` is "module name" for each global; `reason` says why the pickle could not be read to its end, if so.

    `texts` are the strings in it, among them the names of tensors; at most MAX_TEXTS.
    """

    imports: frozenset[str]
    reason: str = ""
    texts: frozenset[str] = frozenset()

    @property
    def only_tensors(self) -> bool:
        return not self.reason and self.imports <= TENSOR_IMPORTS


def read(name: str, file: BinaryIO) -> Pickle | None:
    """Return the pickle in a file, or None: recognised by its first bytes, else by its name.

    A pickle that cannot be read to its end counts as unsafe: scanners that skip unknown data have been exploited. Only
    a *.bin that no library opens by default is tested for being a pickle at all.
    """
    start = file.read(512)
    file.seek(0)
    suspect = name.lower().endswith(SUFFIXES)
    if start[:4] == b"PK\x03\x04":
        return _in_archive(file, suspect=suspect)
    # A safetensors header of 128 or 384 bytes begins alike, but no unpickler gets past the zero that follows.
    if len(start) > 1 and start[0] == 0x80 and start[1] <= 5 and start[2:3] != b"\x00":
        return _scan(file)
    if suspect and _is_tar(start):
        return Pickle(frozenset(), TAR)
    if not suspect or not (_is_opened(name) or reaches_import(file)):
        return None
    file.seek(0)
    pickle = _scan(file)
    return pickle if pickle.imports or pickle.reason or _is_opened(name) else replace(pickle, reason=BEHIND)


def _is_opened(name: str) -> bool:
    """Return whether a library opens a file of this name as a pickle, whatever it contains."""
    name = name.lower().rpartition("/")[2]
    return not name.endswith(".bin") or name.startswith(OPENED)


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _in_archive(file: BinaryIO, suspect: bool) -> Pickle | None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if info.filename.lower().endswith((".pkl", ".pickle"))]
            pickles = [_member(archive, info) for info in members]
    except BROKEN as error:
        return Pickle(frozenset(), f"the archive cannot be read: {error}")
    if not pickles:
        return Pickle(frozenset(), "the archive holds no tensor pickle") if suspect else None
    reasons = [pickle.reason for pickle in pickles if pickle.reason]
    imports, texts = (
        frozenset[str]().union(*sets) for sets in zip(*((p.imports, p.texts) for p in pickles), strict=True)
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
    # A pickle may claim a text of any length: no memory is allocated beyond the file's own bytes.
    file = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    try:
        for _ in range(PICKLES_IN_A_ROW):
            imports.update(_imports(file, texts))
            if not _more(file):
                break
        return Pickle(frozenset(imports), "", frozenset(texts))
    except (ValueError, IndexError, OverflowError, AttributeError, MemoryError) as error:
        return Pickle(frozenset(imports), f"it cannot be read to its end: {str(error)[:120]}")


def _more(file: BinaryIO) -> bool:
    start = file.read(2)
    file.seek(-len(start), 1)
    return len(start) == 2 and start[0] == 0x80 and start[1] <= 5


def _imports(file: BinaryIO, texts: set[str]) -> Iterator[str]:
    pushed: list[str | None] = [None, None]  # the two top items of the stack, None if not text
    memo: dict[object, str | None] = {}
    members = _Members()
    for count, (opcode, argument, _) in enumerate(_in_frames(pickletools.genops(file))):
        if count > MAX_OPCODES:
            raise ValueError(f"more than {MAX_OPCODES:,} instructions")
        name = opcode.name
        yield from members.follow(name, argument)
        if name == "INST" or (name == "GLOBAL" and argument not in GETATTR):
            yield str(argument)
        elif name == "STACK_GLOBAL":
            yield UNKNOWN if None in pushed else f"{pushed[0]} {pushed[1]}"
        elif name in ("EXT1", "EXT2", "EXT4"):
            yield f"copyreg extension {argument}"
        if name in ("PROTO", "FRAME"):
            continue
        if name in KEEPING:
            memo[len(memo) if name == "MEMOIZE" else argument] = pushed[1]
            continue
        text = memo.get(argument) if name in ("GET", "BINGET", "LONG_BINGET") else _text(opcode, argument)
        pushed = [pushed[1], text]
        if text is not None and len(texts) < MAX_TEXTS and len(text) <= 256:
            texts.add(text)


class _Members:
    """Follows each getattr that is pushed: MEMBER if it gets a constant of a class and is gone, else itself.

    In the expected instructions nothing can come between, so that no getattr stays on the stack for another use; what
    is put into the memo is followed again when it is taken from there.
    """

    def __init__(self) -> None:
        self._memo: dict[object, tuple[str, str]] = {}
        self._top = ("", "")  # the global and the text that the last instruction pushed, of which at most one is set
        self._getattr = ""  # the one that is followed
        self._step = 0

    def follow(self, name: str, argument: object) -> Iterator[str]:
        """Take the next instruction and yield the import that has become certain with it, if any."""
        if name in KEEPING:
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self._top
        if name in KEEPING or name in ("PROTO", "FRAME"):
            return
        self._top = self._pushed(name, argument)
        if self._getattr:
            self._step += 1
            if not self._is_expected(name):
                yield self._getattr
                self._getattr = ""
            elif name == "REDUCE":
                yield MEMBER
                self._getattr = ""
        if not self._getattr and self._top[0] in GETATTR:
            self._getattr, self._step = self._top[0], 0

    def _pushed(self, name: str, argument: object) -> tuple[str, str]:
        if name in ("GET", "BINGET", "LONG_BINGET"):
            return self._memo.get(argument, ("", ""))
        if name == "GLOBAL":
            return str(argument), ""
        return "", str(argument) if name in ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE") else ""

    def _is_expected(self, name: str) -> bool:
        if self._step == 1:
            return bool(re.fullmatch(r"[\w.]+ [A-Z]\w*", self._top[0], re.ASCII))
        if self._step == 2:
            return bool(re.fullmatch(r"[A-Z][A-Z0-9_]*", self._top[1]))
        return name == ("TUPLE2" if self._step == 3 else "REDUCE")


def _in_frames(instructions: Iterator[Instruction]) -> Iterator[Instruction]:
    """Yield the same instructions; raise ValueError for one that reaches beyond its frame.

    The unpickler in C drops the rest of such a frame and reads the argument after it, so it would execute other
    instructions than those seen here.
    """
    end = 0
    last = 0
    for opcode, argument, at in instructions:
        at = at or 0
        if last < end < at or (opcode.name == "FRAME" and at < end):
            raise ValueError("an instruction reaches beyond its frame")
        if opcode.name == "FRAME":
            end = at + FRAME_BYTES + int(argument)
        last = at
        yield opcode, argument, at


def _text(opcode: pickletools.OpcodeInfo, argument: object) -> str | None:
    """Return the text that an instruction pushes; None for any other instruction."""
    is_text = isinstance(argument, str) and any(kind in opcode.name for kind in ("UNICODE", "STRING"))
    return str(argument) if is_text else None
