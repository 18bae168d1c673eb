"""Lists what a pickle imports, instruction by instruction, without executing it."""

import io
import pickletools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dovetail.adapters.files.pickle_interpreter import GLOBALS
from dovetail.adapters.files.reach import Reach, reaches_import

MAX_OPCODES = 2_000_000
PICKLES_IN_A_ROW = 5  # the pickles in a file of torch's legacy format, before the raw storages (serialization.py)
MAX_PICKLE_BYTES = 64 * 2**20
MAX_TEXTS = 4096
Instruction = tuple[pickletools.OpcodeInfo, Any, int | None]
FRAME_BYTES = 9  # of the instruction itself

DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")
TENSOR_IMPORTS = GLOBALS | {f"torch {name}" for name in DTYPES}
# Types of plain data, and the functions by which numpy restores its arrays: none of them runs or opens anything.
BUILTINS = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range"),
    *("set", "slice", "str", "tuple"),
)
RESTORED = ("multiarray _reconstruct", "multiarray scalar", "numeric _frombuffer")
PLAIN_IMPORTS = frozenset(
    {
        *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in BUILTINS),
        *(f"collections {name}" for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(f"datetime {name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(f"{module} _reconstructor" for module in ("copy_reg", "copyreg")),
        *("_codecs encode", "decimal Decimal", "fractions Fraction", "uuid UUID", "numpy dtype", "numpy ndarray"),
        *(f"numpy.{core}.{name}" for core in ("core", "_core") for name in RESTORED),
    }
)
# Modules that run programs, code or what lies at an address; the first part of their names.
ATTACKS = frozenset(
    {
        *("__builtin__", "asyncio", "builtins", "code", "codeop", "commands", "ctypes", "http", "imp"),
        *("importlib", "marshal", "multiprocessing", "nt", "os", "pickle", "pip", "posix", "posixpath", "pty"),
        *("requests", "runpy", "shutil", "socket", "ssl", "subprocess", "sys", "tempfile", "timeit", "types"),
        *("urllib", "webbrowser"),
    }
)
UNKNOWN = "a name computed at run time"
KEEPING = ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT")
GETATTR = frozenset({"__builtin__ getattr", "builtins getattr"})
MEMBER = "a member of an enumeration"  # what Python before 3.11.4 pickles as getattr(Class, "MEMBER")


@dataclass(frozen=True, slots=True)
class Pickle:
    """`imports` is "module name" for each global; `reason` says why the pickle could not be read to its end, if so.

    `texts` are the strings in it, among them the names of tensors; at most MAX_TEXTS. `member` is its path in the
    archive that holds it, if the file is one.
    """

    imports: frozenset[str]
    reason: str = ""
    texts: frozenset[str] = frozenset()
    member: str = ""

    @property
    def only_tensors(self) -> bool:
        return not self.reason and self.imports <= TENSOR_IMPORTS

    @property
    def is_attack(self) -> bool:
        """True if it would import what programs are run with, and no object of a library."""
        strange = self.imports - PLAIN_IMPORTS
        return any(name == UNKNOWN or name.partition(" ")[0].partition(".")[0] in ATTACKS for name in strange)

    @property
    def is_data(self) -> bool:
        """True if nothing that it imports can run code or open anything, though it may hold more than tensors."""
        return not self.reason and self.imports <= TENSOR_IMPORTS | PLAIN_IMPORTS


def scan(file: BinaryIO) -> Pickle:
    """Return what the pickle that begins here imports, and those behind it in a row."""
    return scan_bytes(file.read(MAX_PICKLE_BYTES))[0]


def scan_bytes(content: bytes) -> tuple[Pickle, int]:
    """Return the same, and how many bytes of it were read."""
    imports: set[str] = set()
    texts: set[str] = set()
    # A pickle may claim a text of any length: no memory is allocated beyond the file's own bytes.
    file = io.BytesIO(content)
    try:
        for _ in range(PICKLES_IN_A_ROW):
            imports.update(_imports(file, texts))
            if not _more(file):
                break
        else:
            if reaches_import(_rest(file), Reach.IMPORT):
                raise ValueError(f"more than {PICKLES_IN_A_ROW} pickles")
        return Pickle(frozenset(imports), "", frozenset(texts)), file.tell()
    except (ValueError, IndexError, OverflowError, AttributeError, MemoryError) as error:
        return Pickle(frozenset(imports), f"it cannot be read to its end: {str(error)[:120]}"), file.tell()


def _more(file: BinaryIO) -> bool:
    """Return whether another pickle follows; one of protocol 0 or 1, which nothing marks, if it would import."""
    rest = _rest(file)
    start = rest.read(2)
    return (len(start) == 2 and start[0] == 0x80 and start[1] <= 5) or reaches_import(rest, Reach.IMPORT)


def _rest(file: BinaryIO) -> io.BytesIO:
    at = file.tell()
    rest = io.BytesIO(file.read())
    file.seek(at)
    return rest


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
    if last + 1 < end:
        raise ValueError("it ends inside its frame, and another frame may follow")


def _text(opcode: pickletools.OpcodeInfo, argument: object) -> str | None:
    """Return the text that an instruction pushes; None for any other instruction."""
    is_text = isinstance(argument, str) and any(kind in opcode.name for kind in ("UNICODE", "STRING"))
    return str(argument) if is_text else None
