"""Whether an unpickler that is given a file would come to import anything; what it would import is not read here.

A file is no pickle when every unpickler stops in it before it imports: without a name that was imported there is
nothing to call. Instructions are stepped over by their lengths and never understood, since readers disagree on what
an argument means (`I0x10` is a number for C and an error for pickletools). The walk ends only at what all of them
refuse: an instruction that nobody knows, one that takes what cannot be there, or the end of the file.
"""

from __future__ import annotations

import pickletools
from typing import BinaryIO

MAX_OPCODES = 2_000_000
MAX_NAME_BYTES = 65_536
NEWEST_PROTOCOL = 5
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
LENGTHS = {  # how many bytes say how long an argument is; unsigned, though some readers take a sign
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
CALLS = frozenset({"REDUCE", "BUILD", "OBJ", "NEWOBJ", "NEWOBJ_EX"})


def reaches_import(file: BinaryIO) -> bool:
    """Whether some unpickler may get from the first byte to an import; what is too long to tell counts as one."""
    size = file.seek(0, 2)
    file.seek(0)
    stack = _Stack()
    has_extension = False
    for _ in range(MAX_OPCODES):
        opcode = OPCODES.get(file.read(1))
        name = opcode.name if opcode else ""
        if name in ("GLOBAL", "INST"):  # of an INST Python looks for the mark only when it has imported
            return _is_name(file) and _is_name(file)
        if opcode is None or not stack.follows(opcode):
            return False
        # What copyreg knows by a number is nothing that a stranger can choose: it matters once it is called.
        has_extension = has_extension or name.startswith("EXT")
        if name == "STACK_GLOBAL" or (has_extension and name in CALLS):
            return True
        if name == "FRAME":
            # C drops the rest of a frame for an argument that is longer; Python goes on behind one that is cut off.
            if int.from_bytes(file.read(8), "little") <= size - file.tell():
                return True
        elif not _steps_over(file, opcode, size):
            return False
    return True


def _is_name(file: BinaryIO) -> bool:
    """Whether a line can be a name; no unpickler takes one that is no UTF-8. Without its end it may be one."""
    line = file.readline(MAX_NAME_BYTES)
    try:
        line.decode()
    except UnicodeDecodeError:
        return not line.endswith(b"\n")
    return True


def _steps_over(file: BinaryIO, opcode: pickletools.OpcodeInfo, size: int) -> bool:
    """Leave the argument of an instruction behind; False where the file ends within it."""
    if opcode.arg is None:
        return True
    if opcode.name == "PROTO":
        return file.read(1) <= bytes([NEWEST_PROTOCOL])
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        while (piece := file.readline(MAX_NAME_BYTES)) and not piece.endswith(b"\n"):
            pass
        return True
    length = opcode.arg.n if opcode.arg.n >= 0 else int.from_bytes(file.read(LENGTHS[opcode.arg.n]), "little")
    if length > size - file.tell():
        return False
    file.seek(length, 1)
    return True


class _Stack:
    """How much may lie there at most: readers differ in whether an instruction may reach below a mark."""

    def __init__(self) -> None:
        self.depth = 0
        self.marks: list[int] = []

    def follows(self, opcode: pickletools.OpcodeInfo) -> bool:
        """Do what an instruction does to the stack; False where it takes what cannot be there."""
        taken = opcode.stack_before
        if opcode.name == "MARK":
            self.marks.append(self.depth)
            return True
        if opcode.name == "POP" and self.marks and self.depth <= self.marks[-1]:
            self.marks.pop()  # it takes the mark itself
            return True
        if pickletools.markobject in taken:
            if not self.marks:
                return False
            self.depth = self.marks.pop()
            taken = taken[: taken.index(pickletools.markobject)]
        if len(taken) > self.depth:
            return False
        # Another pickle may follow the end of one; it begins with nothing.
        self.depth = 0 if opcode.name == "STOP" else self.depth - len(taken) + len(opcode.stack_after)
        return True
