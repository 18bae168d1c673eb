"""Follows a pickle as the unpicklers of CPython do, without importing anything, to the first import or call.

A file is harmless if every unpickler stops before it imports: without an imported name there is nothing to call. The
stack, the marks and the memo are kept, each item as its kind alone. Where `_pickle` and `pickle.py` differ, the more
accepting one is followed: `I0x10` is a number for C, the arguments of a call may be a text for Python.
"""

import _compat_pickle
import pickletools
import re
import sys
from enum import IntEnum
from typing import BinaryIO, NoReturn

MAX_OPCODES = 2_000_000
MAX_NAME_BYTES = 65_536
MAX_DIGITS = 4000  # from about which versions of Python differ in what number they take
NEWEST_PROTOCOL = 5
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
LENGTHS = {  # the size in bytes of an argument's length field; read as unsigned, though some readers accept a sign
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# Modules that readers of weights have, also those of Python 2: an import of another one fails in most places.
KNOWN = (
    sys.stdlib_module_names
    | {name.partition(".")[0] for name in _compat_pickle.IMPORT_MAPPING}
    | {
        *("__main__", "accelerate", "cffi", "cloudpickle", "dask", "datasets", "diffusers", "dill"),
        *("distutils", "fsspec", "huggingface_hub", "imp", "IPython", "jax", "jinja2", "joblib", "keras"),
        *("mpmath", "networkx", "nltk", "numexpr", "numpy", "pandas", "peft", "PIL", "pip", "pipes"),
        *("pkg_resources", "psutil", "requests", "safetensors", "scipy", "setuptools", "sklearn", "sympy"),
        *("tensorflow", "torch", "torchvision", "tqdm", "transformers", "triton", "wandb", "yaml"),
    }
)
MODULE = re.compile(r"[\w-]+(?:\.[\w-]+)*")
END = rb"\s*(?:L\s*)?(?:\0.*)?"  # C reads a number to the first zero
INTEGER = re.compile(rb"\s*[+-]?(?:0[xX][\da-fA-F_]+|0[oObB][0-7_]+|[\d_]+)" + END, re.DOTALL)
FLOAT = re.compile(rb"\s*[+-]?(?:[\d_.]+(?:e[+-]?[\d_]+)?|inf(?:inity)?|nan)" + END, re.IGNORECASE | re.DOTALL)
STRING = re.compile(rb"\s*(['\"]).*\1\s*|.*[\x80-\xff].*", re.DOTALL)  # no reader takes a plain word
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")
# Kinds of items. NUMBER stands for all that is neither text, nor iterable, nor from elsewhere.
NUMBER, TEXT, TUPLE, ITEMS, FOREIGN = "number", "text", "tuple", "items", "foreign"
KINDS = {
    **dict.fromkeys(("str", "bytes_or_str"), TEXT),
    **dict.fromkeys(("bytes", "bytearray", "list", "dict", "set", "frozenset"), ITEMS),
    **dict.fromkeys(("any", "buffer"), FOREIGN),
    "tuple": TUPLE,
}
FORMS = {"INT": INTEGER, "LONG": INTEGER, "FLOAT": FLOAT, "STRING": STRING}
CHANGES = {"BUILD": 1, "APPEND": 1, "SETITEM": 2, "APPENDS": 0, "SETITEMS": 0, "ADDITEMS": 0}  # items above the target
DATA = {opcode.name for opcode in pickletools.opcodes} - {
    *("MARK", "POP", "DUP", "STOP", "PROTO", "FRAME", "GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2"),
    *("EXT4", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET", "OBJ", "REDUCE"),
    *("NEWOBJ", "NEWOBJ_EX"),
    *CHANGES,
}
FRAME_BYTES = 9  # of the instruction itself


class Reach(IntEnum):
    """The point that an unpickler reaches; plain text can reach an import, of a module that does not exist."""

    NOWHERE = 0
    WORDS = 1  # an import, or a call, by lines that a list of words may have: of a module that is not KNOWN
    IMPORT = 2  # an import of a KNOWN module by such lines, or of another one in a whole pickle
    CALL = 3  # a call with data, a call or a KNOWN module in a whole pickle, or any import in what is no text


def reaches_import(file: BinaryIO, least: Reach = Reach.WORDS, *, is_cut: bool = False) -> bool:
    """Return whether an unpickler may get that far from the first byte, or has too many instructions to tell.

    `is_cut`: the file is the beginning of a longer one, and nobody can tell what is reached behind its end.
    """
    walk = _Walk(file, is_cut=is_cut)
    return walk.run(least) >= least


def is_text(data: bytes) -> bool:
    """Return whether bytes hold no character that only data have."""
    return not CONTROL.search(data)


class _Broken(Exception):
    """Every unpickler stops here."""


class _Walk:
    """A walk over the instructions of a file; `reach` is how far it has come."""

    def __init__(self, file: BinaryIO, *, is_cut: bool = False) -> None:
        self.file, self.is_cut = file, is_cut
        self.size = file.seek(0, 2)
        self.frame_end = 0
        file.seek(0)
        self.is_text = is_text(file.read(MAX_NAME_BYTES))
        self.is_known = False  # whether a module was KNOWN
        self.has_protocol = self.has_import = self.has_call = self.has_stopped = False
        self.stack: list[str] = []
        self.below: list[list[str]] = []  # the items below each mark, which no instruction can reach
        self.memo: dict[int, str] = {}
        self.reach = Reach.NOWHERE

    def run(self, enough: Reach) -> Reach:
        """Walk until it has come far enough, or nobody goes on."""
        self.file.seek(0)
        try:
            for _ in range(MAX_OPCODES):
                self._step()
                if self.reach >= enough:
                    return self.reach
        except _Broken:
            return self.reach
        return Reach.CALL

    def _step(self) -> None:
        code = self.file.read(1)
        if not code:
            self.end()
        opcode = OPCODES.get(code)
        if opcode is None:
            raise _Broken
        if code >= b"\x80":
            self.is_text = False
        begin = self.file.tell()
        self._data(opcode) if opcode.name in DATA else self._more(opcode.name)
        if begin < self.frame_end < self.file.tell() and opcode.name != "FRAME":
            self.reach = Reach.CALL  # C drops the rest of the frame, and would read other instructions than Python

    def _data(self, opcode: pickletools.OpcodeInfo) -> None:
        """Follow an instruction that only pushes data, or gathers it."""
        if opcode.arg is None:
            pass
        elif opcode.arg.n == pickletools.UP_TO_NEWLINE:
            line, form = self.line(), FORMS.get(opcode.name)
            if form and len(line) < MAX_NAME_BYTES and not form.fullmatch(line):
                raise _Broken
        else:
            self.skip(opcode.arg.n if opcode.arg.n >= 0 else self.number(LENGTHS[opcode.arg.n]))
        operands = opcode.stack_before
        if pickletools.markobject in operands:
            self.since_mark()
            operands = operands[: operands.index(pickletools.markobject)]
        for _ in operands:
            self.pop()
        self.stack += [KINDS.get(item.name, NUMBER) for item in opcode.stack_after]

    def _more(self, name: str) -> None:
        match name:
            case "MARK":
                self.below.append(self.stack)
                self.stack = []
            case "POP" if not self.stack:
                self.since_mark()
            case "POP":
                self.pop()
            case "DUP":
                self.stack.append(self.top())
            case "STOP":
                self._stop()
            case "PROTO":
                if self.number(1) > NEWEST_PROTOCOL:
                    raise _Broken
                self.has_protocol = True
            case "FRAME":
                self._frame()
            case "GLOBAL" | "INST" | "STACK_GLOBAL":
                self._import(name)
            case "EXT1" | "EXT2" | "EXT4":  # an uploader cannot choose the objects in copyreg's registry
                self.skip(int(name[-1]))
                self.has_import = True
                self.stack.append(FOREIGN)
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                if (at := self.key(name)) < 0:
                    raise _Broken
                self.memo[at] = self.top()
            case "GET" | "BINGET" | "LONG_BINGET":
                at = self.key(name)
                if at not in self.memo and not self.has_stopped:
                    raise _Broken
                # Another pickle may find the memo of the one before it, or an empty one.
                self.stack.append(FOREIGN if self.has_stopped else self.memo[at])
            case "OBJ":
                called, *arguments = [*self.since_mark(), NUMBER]
                self._calls(called, arguments[:-1])
                self.stack.append(FOREIGN)
            case "REDUCE" | "NEWOBJ" | "NEWOBJ_EX":
                if name == "NEWOBJ_EX":
                    self.pop()
                kind = self.pop()
                self._calls(NUMBER if kind == NUMBER else self.pop(), [kind])
                self.stack.append(FOREIGN)
            case _ if name in CHANGES:  # a call of a method, if what is changed is from elsewhere
                items = self.since_mark() if name.endswith("S") else [self.pop() for _ in range(CHANGES[name])]
                if self.top() == FOREIGN:
                    self._calls(FOREIGN, items)

    def _frame(self) -> None:
        length, begin = self.number(8), self.file.tell()
        if begin - FRAME_BYTES < self.frame_end:
            self.note(Reach.CALL)  # C goes on within a frame where Python does not
        if length <= self.size - begin:  # Python goes on after one that is cut off, which then has no end
            self.frame_end = begin + length

    def _stop(self) -> None:
        self.pop()
        if self.file.tell() < self.frame_end:
            self.note(Reach.CALL)  # the next pickle begins behind the frame, or in it for the same unpickler
        if self.reach:
            self.note(Reach.CALL if self.has_call or self.is_known else Reach.IMPORT)
        self.stack, self.below, self.memo, self.has_stopped = [], [], {}, True  # another pickle may follow

    # --- the stack ---------------------------------------------------------------------------------------------------
    def pop(self) -> str:
        if not self.stack:
            raise _Broken
        return self.stack.pop()

    def top(self) -> str:
        if not self.stack:
            raise _Broken
        return self.stack[-1]

    def since_mark(self) -> list[str]:
        if not self.below:
            raise _Broken
        items, self.stack = self.stack, self.below.pop()
        return items

    # --- arguments ---------------------------------------------------------------------------------------------------
    def line(self) -> bytes:
        """Return a line without its end. Nothing can follow the last one, which has none."""
        line = self.file.readline(MAX_NAME_BYTES)
        kept = line
        while kept and not kept.endswith(b"\n"):
            if not (kept := self.file.readline(MAX_NAME_BYTES)):
                self.end()
        return line.rstrip(b"\n")

    def name(self) -> str | None:
        """Return a line without its last byte, which need not be its end; None for one that is too long to tell."""
        line = self.file.readline(MAX_NAME_BYTES)
        if len(line) == MAX_NAME_BYTES and not line.endswith(b"\n"):
            return None
        try:
            return line[:-1].decode()
        except UnicodeDecodeError:
            raise _Broken from None

    def key(self, name: str) -> int:
        """Return the place in the memo that an instruction names."""
        if name == "MEMOIZE":
            return len(self.memo)
        if "BIN" in name:
            return self.number(4 if name.startswith("LONG") else 1)
        line = self.line()
        if len(line) > MAX_DIGITS and not line.strip().strip(b"+-_0123456789"):
            self.note(Reach.CALL)  # of this length nobody writes a place
        try:
            return int(line.partition(b"\0")[0])
        except ValueError:
            raise _Broken from None

    def number(self, width: int) -> int:
        data = self.file.read(width)
        if len(data) < width:
            self.end()
        return int.from_bytes(data, "little")

    def skip(self, length: int) -> None:
        if length > self.size - self.file.tell():
            self.end()
        self.file.seek(length, 1)

    def end(self) -> NoReturn:
        """Stop at the end of the file."""
        if self.is_cut:
            self.note(Reach.CALL)
        raise _Broken

    # --- imports and calls -------------------------------------------------------------------------------------------
    def note(self, reach: Reach) -> None:
        self.reach = max(self.reach, reach)

    def _import(self, instruction: str) -> None:
        """Note an import; where the module comes from the stack, its name is not known here."""
        self.has_import = True
        module = None
        if instruction == "STACK_GLOBAL":
            if self.has_protocol:  # other readers than CPython's may make up a name of anything
                self.note(Reach.WORDS)
            if not {self.pop(), self.pop()} <= {TEXT, FOREIGN}:
                raise _Broken
        else:
            module, _ = self.name(), self.name()
        self.note(Reach.WORDS)
        if module is not None and not MODULE.fullmatch(module):
            raise _Broken
        # Python looks for the mark of an instance only after the import, and calls nothing without it.
        arguments = self.since_mark() if instruction == "INST" else []
        self.is_known = self.is_known or module is None or module.partition(".")[0] in KNOWN
        if not self.is_text:
            self.note(Reach.CALL)
        elif self.is_known:
            self.note(Reach.IMPORT)
        if instruction == "INST":
            self._calls(FOREIGN, arguments)
        self.stack.append(FOREIGN)

    def _calls(self, called: str, arguments: list[str]) -> None:
        """Note a call of something from elsewhere. Words of a text may call what they import, but seldom with data."""
        if called != FOREIGN:
            raise _Broken
        if self.has_import:
            self.has_call = True
            is_meant = arguments == [TUPLE] or (self.is_known and {*arguments} - {FOREIGN})
            self.note(Reach.CALL if is_meant or not self.is_text else Reach.WORDS)
