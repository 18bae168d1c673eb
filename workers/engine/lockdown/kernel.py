"""System calls that the standard library lacks. Sources: prctl(2), linux/include/uapi/linux/prctl.h."""

from __future__ import annotations

import ctypes
import os
import platform

from workers.engine.lockdown import syscalls

ARCHITECTURE = platform.machine()

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 35, 36, 38
PR_SET_PTRACER = 0x59616D61

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class JailUnavailable(Exception):
    """A layer of the jail is missing here; the message is one sentence for the operator."""


def system_call(name: str, *arguments: object) -> int:
    """Make a system call that `syscalls` lists, and return its result. Raises `JailUnavailable`."""
    number = syscalls.JUDGED[name][syscalls.COLUMN[ARCHITECTURE]]
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *passed))
    if result < 0:
        raise JailUnavailable(f"The kernel refused {name}: {os.strerror(ctypes.get_errno())}.")
    return result


def prctl(option: int, value: int, what: str) -> None:
    """Set an option of this process. Raises `JailUnavailable`."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise JailUnavailable(f"The kernel refused to set {what}: {os.strerror(ctypes.get_errno())}.")


def require(holds: bool, sentence: str) -> None:
    """Raise `JailUnavailable` with the sentence unless the condition holds."""
    if not holds:
        raise JailUnavailable(sentence)
