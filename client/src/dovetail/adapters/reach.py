"""Tells whether an unpickler would import anything from a file; it does not read what.

A file is harmless if every unpickler stops before it imports: without an imported name there is nothing to call.
Instructions are skipped by their lengths and not interpreted, because readers disagree on the meaning of an argument
(`I0x10` is a number for C and an error for pickletools). The walk ends only where all readers stop: at an unknown
instruction, at one whose operands cannot be on the stack, or at the end of the file.
"""

from __future__ import annotations

import pickletools
import re
from typing import BinaryIO

MAX_OPCODES = 2_000_000
MAX_NAME_BYTES = 65_536
NEWEST_PROTOCOL = 5
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
LENGTHS = {  # the size in bytes of an argument's length field; read as unsigned, though some readers accept a sign
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
IDENTIFIER = re.compile(rb"[A-Za-z_][\w.]*\n")
CALLS = frozenset({"REDUCE", "BUILD", "OBJ", "NEWOBJ", "NEWOBJ_EX"})


def reaches_import(file: BinaryIO, *, called: bool = False) -> bool:
    """Return whether an unpickler may get from the first byte to an import, or has too many instructions to tell.

    With `called` the import must have the name of a module, and be called: a text may begin like an import by chance.
    """
    size = file.seek(0, 2)
    file.seek(0)
    stack = _Stack()
    has_import = False
    for _ in range(MAX_OPCODES):
        opcode = OPCODES.get(file.read(1))
        name = opcode.name if opcode else ""
        if name in ("GLOBAL", "INST"):  # Python checks the mark of an INST only after the import
            is_name = _is_identifier if called else _is_name
            if not (is_name(file) and is_name(file)):
                return False
            if name == "INST" or not called:
                return True
        if opcode is None or not stack.follows(opcode):
            return False
        # An uploader cannot choose the objects in copyreg's registry of numbers: they only matter if called.
        has_import = has_import or name == "GLOBAL" or name.startswith("EXT")
        if name == "STACK_GLOBAL" or (has_import and name in CALLS):
            return True
        if name == "FRAME":
            # C drops the rest of a frame for a longer argument; Python goes on after a truncated frame.
            if int.from_bytes(file.read(8), "little") <= size - file.tell():
                return True
        elif name != "GLOBAL" and not _steps_over(file, opcode, size):
            return False
    return True


def _is_name(file: BinaryIO) -> bool:
    """Return whether a line can be a name: valid UTF-8, or cut off so that it may be."""
    line = file.readline(MAX_NAME_BYTES)
    try:
        line.decode()
    except UnicodeDecodeError:
        return not line.endswith(b"\n")
    return True


def _is_identifier(file: BinaryIO) -> bool:
    return bool(IDENTIFIER.fullmatch(file.readline(MAX_NAME_BYTES)))


def _steps_over(file: BinaryIO, opcode: pickletools.OpcodeInfo, size: int) -> bool:
    """Skip the argument of an instruction; return False if the file ends within it."""
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
    """The largest possible depth of the stack: readers differ in whether an instruction may reach below a mark."""

    def __init__(self) -> None:
        self.depth = 0
        self.marks: list[int] = []

    def follows(self, opcode: pickletools.OpcodeInfo) -> bool:
        """Apply an instruction to the stack; return False if its operands cannot be there."""
        operands = opcode.stack_before
        if opcode.name == "MARK":
            self.marks.append(self.depth)
            return True
        if opcode.name == "POP" and self.marks and self.depth <= self.marks[-1]:
            self.marks.pop()  # it takes the mark itself
            return True
        if pickletools.markobject in operands:
            if not self.marks:
                return False
            self.depth = self.marks.pop()
            operands = operands[: operands.index(pickletools.markobject)]
        if len(operands) > self.depth:
            return False
        # Another pickle may follow; it begins with an empty stack.
        self.depth = 0 if opcode.name == "STOP" else self.depth - len(operands) + len(opcode.stack_after)
        return True
