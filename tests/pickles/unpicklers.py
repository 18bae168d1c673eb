"""Both unpicklers of CPython as witnesses: how far they get with some bytes, while nothing is ever imported or run."""

import io
import pickle
import random
import re
from collections.abc import Callable

from dovetail.adapters.files import pickles, reach
from dovetail.adapters.files.reach import OPCODES, Reach, reaches_import

UNPICKLERS = {"C": pickle.Unpickler, "Python": pickle._Unpickler}
ENCODINGS = ("ASCII", "latin1", "bytes", "utf-8")
FAR = re.compile(rb"r..[^\0].|r...[^\0]|p[\s+_\d]{5}", re.DOTALL)  # a place in the memo for which C allocates gigabytes
HOSTILE = b"cos\nsystem\n"


class Watched:
    """How far an unpickler got: whether it asked for a name, called what it got, and came to the end."""

    def __init__(self, unpickler: type, data: bytes, encoding: str, *, has: Callable[[str], bool]) -> None:
        """`has` tells which modules there are; the import of another one fails."""
        self.imported = self.called = self.ended = False

        class Watching(unpickler):
            def find_class(_, module, name):  # it is the witness that is changed
                self.imported = True
                if not has(module):
                    raise ModuleNotFoundError(module)
                return self._object if len(name) % 2 else self._instance()

            def persistent_load(_, said):
                return said

        try:
            Watching(io.BytesIO(data), encoding=encoding).load()
            self.ended = True
        except Exception:  # noqa: BLE001 - of spoilt bytes it raises what it likes
            pass

    def _instance(self) -> object:
        called, made = self.called, self._object()
        self.called = called  # the witness made it, not the unpickler
        return made

    @property
    def _object(self) -> type:
        def called(*_args, **_named):
            self.called = True

        class Object:
            __call__ = __setstate__ = append = extend = add = __setitem__ = called

            def __new__(cls, *_args, **_named):
                self.called = True
                return super().__new__(cls)

        return Object


def judge(data: bytes) -> tuple[int, int]:
    """Assert that nothing is missed that an unpickler does with these bytes; return how many imported, and called."""
    imported = called = 0
    if FAR.search(data):
        return 0, 0
    for unpickler in UNPICKLERS.values():
        for encoding in ENCODINGS if b"S'" in data or b"T" in data or b"U" in data else ENCODINGS[:1]:
            any_module = Watched(unpickler, data, encoding, has=lambda _: True)
            assert reaches_import(io.BytesIO(data)) or not any_module.imported, (unpickler, data)
            named = Watched(unpickler, data, encoding, has=lambda name: bool(reach.MODULE.fullmatch(name)))
            known = Watched(unpickler, data, encoding, has=lambda name: name.partition(".")[0] in reach.KNOWN)
            is_text = reach.is_text(data)  # words that call words are none, unless the whole is a pickle
            if (known.called and not is_text) or (named.called and named.ended):
                assert reaches_import(io.BytesIO(data), Reach.CALL), (unpickler, data)
                found = pickles.read("README.txt", io.BytesIO(data))
                assert found is not None, (unpickler, data)
                assert not found.is_data or b"system" not in data, (unpickler, data, found)
            imported, called = imported + any_module.imported, called + known.called
    return imported, called


def argument(name: str, dice: random.Random) -> bytes:
    """An argument as it may be, as only some readers take it, or one too long."""
    arg = next(one for one in OPCODES.values() if one.name == name).arg
    if arg is None:
        return b""
    if name == "PROTO":
        return bytes([dice.choice((0, 1, 2, 4, 5, 5, 6, 0x80))])
    if name in ("GLOBAL", "INST"):
        lines = (
            b"os\nsystem\n",
            b"\xff\nx\n",
            b"\n\n",
            "\u00e9\nx\n".encode(),
            b"os\nsystem",
            b"os\n",
            b"evil\ncall\n",
        )
        return dice.choice(lines)
    if arg.n == -1:
        lines = (b"1", b"0x10", b"01", b"-0", b"1_0", b" 1", b"1L", b"1.5", b"1e400", b"'a'", b"'\\xe9'", b'"b"',
                 "'\u00e9'".encode(), b"\xff", b"\\u00e9", b"", b"nan", b"0", b"2", b"1\0x", b"'os'",
                 b"os")  # fmt: skip
        return dice.choice(lines) + dice.choice((b"\n", b"\n", b"\n", b"\r\n", b""))
    if arg.n >= 0:
        return bytes([dice.choice((0, 1, 2, 200)), *bytes(arg.n - 1)])
    width = {-2: 1, -3: 4, -4: 4, -5: 8}[arg.n]
    length = dice.choice((0, 1, 2, 3, 3, 3, 90))
    return bytes([length, *bytes(width - 1)]) + dice.choice((b"abc", b"\xff\xfe\n", b"os\n"))[:length]


def program(dice: random.Random) -> bytes:
    """Instructions in a row, more often those that put something on the stack, then an import or none, and a call."""
    names = [opcode.name for opcode in OPCODES.values() if opcode.name != "BYTEARRAY8"]  # cut off, C complains loudly
    pushes = [one.name for one in OPCODES.values() if one.name in names and not one.stack_before and one.stack_after]
    code = {opcode.name: byte for byte, opcode in OPCODES.items()}

    def body(most: int) -> bytes:
        said = [dice.choice(pushes if dice.random() < 0.6 else names) for _ in range(dice.randrange(most))]
        return b"".join(code[name] + argument(name, dice) for name in said)

    imports = (HOSTILE, b"(ios\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"\x93", b"ios\nsystem\n",
               b"(cos\nsystem\n", b"cevil\ncall\n", b"")  # fmt: skip
    calls = (b")R", b"(V1\ntR", b"V1\nR", b"}b", b"K\x01\x85R", b")\x81", b")}\x92", b"V1\no", b"o", b"V1\na",
             b"(V1\nV2\nu", b"R", b"\x0e", b"")  # fmt: skip
    middle = body(4) if dice.random() < 0.3 else b""
    return body(12) + dice.choice(imports) + middle + dice.choice(calls) + dice.choice((b".", b".", b"", b"junk"))
