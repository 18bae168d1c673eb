"""The jail's layer of seccomp: a classic BPF program over number, architecture and arguments of each system call.

Sources: seccomp(2), linux/include/uapi/linux/{seccomp,bpf_common}.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Collection

from workers.engine.lockdown import kernel, syscalls
from workers.engine.lockdown.kernel import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_MM,
    PR_SET_PDEATHSIG,
    PR_SET_PTRACER,
)

PRCTL_REFUSED = (PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER)
F_SETOWN, F_SETOWN_EX, F_SETLEASE = 8, 15, 1024
# With F_SETOWN the kernel sends signals for the process; with F_SETLEASE other processes' opens wait for it.
FCNTL_REFUSED = (F_SETOWN, F_SETOWN_EX, F_SETLEASE)
# The CUDA driver makes these calls at its start. It still reaches nobody: connecting and sending stay refused.
DEVICE_CALLS = ("socket", "socketpair", "bind", "listen", "memfd_create")

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# A server that a library brings with it would end at a refusal; told that descriptors ran out, it waits for ever.
NOBODY_COMES = 0x00050000 | errno.EMFILE
WAITING = ("accept", "accept4")
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
CLONE_THREAD, CLONE_NAMESPACES = 0x00010000, 0x7E020080


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def install(allowed: Collection[str], *, threads: bool = False) -> int:
    """Install the layer and return the number of its instructions. Raises `JailUnavailable`."""
    code = b"".join(instructions(allowed, threads=threads))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    kernel.system_call("seccomp", 1, 1, ctypes.byref(program))  # SET_MODE_FILTER for all threads
    return len(code) // 8


def instructions(allowed: Collection[str] = (), *, threads: bool = False) -> list[bytes]:
    """Return the BPF program. `allowed` names listed calls that are let through because a driver needs them.

    A driver may also start threads. They are refused otherwise, unless asked for: the kernel has no limit of threads
    per process.
    """
    thread = CLONE_THREAD if threads or allowed else 0  # with 0, ANY_BIT never matches
    column = syscalls.COLUMN[kernel.ARCHITECTURE]
    judged = {name: numbers[column] for name, numbers in syscalls.JUDGED.items()}
    columns = [numbers[column] for table in syscalls.DENIED for name, numbers in table.items() if name not in allowed]
    waiting = {number for name in WAITING if (number := syscalls.NETWORK[name][column]) is not None}
    refused = {number for number in columns if number is not None} - waiting
    me = os.getpid()
    return [
        *_load(4), _step(EQUAL, syscalls.AUDIT_ARCHITECTURE[kernel.ARCHITECTURE], 1, 0), _give(KILL),
        *_load(0), _step(EQUAL, judged["clone3"], 0, 1), _give(UNKNOWN),  # its flags are behind a pointer
        _step(AT_LEAST, syscalls.FIRST_UNREVIEWED, 0, 1), _give(UNKNOWN),
        *(step for number in sorted(waiting) for step in (_step(EQUAL, number, 0, 1), _give(NOBODY_COMES))),
        *(step for number in sorted(refused) for step in (_step(EQUAL, number, 0, 1), _give(REFUSE))),
        *_judge(judged["clone"], 0, [_step(ANY_BIT, CLONE_NAMESPACES, 1, 0), _step(ANY_BIT, thread, 1, 0)]),
        *_judge(judged["kill"], 0, [_step(EQUAL, me, 1, 0)]),
        *_judge(judged["tgkill"], 0, [_step(EQUAL, me, 1, 0)]),  # abort() signals its own thread
        *_judge(judged["prlimit64"], 2, [_step(EQUAL, 0, 1, 0)]),  # reading limits is allowed, setting them is not
        *_judge(judged["prlimit64"], 2, [_step(EQUAL, 0, 1, 0)], high=True),
        *_judge_not(judged["prctl"], 0, PRCTL_REFUSED),
        *_judge_not(judged["fcntl"], 1, FCNTL_REFUSED),
        _give(ALLOW),
    ]  # fmt: skip


def _load(offset: int) -> list[bytes]:
    return [_step(LOAD, offset, 0, 0)]


def _step(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _give(result: int) -> bytes:
    return _step(RETURN, result, 0, 0)


def _judge(number: int, argument: int, tests: list[bytes], *, high: bool = False) -> list[bytes]:
    """Refuse call `number` unless the last test on (half of) its argument jumps over the refusal."""
    half = 4 if high else 0  # bytes to the upper half of the 64-bit argument, little endian
    body = [*_load(16 + 8 * argument + half), *tests, _give(REFUSE), *_load(0)]
    return [_step(EQUAL, number, 0, len(body)), *body]


def _judge_not(number: int, argument: int, forbidden: tuple[int, ...]) -> list[bytes]:
    """Refuse call `number` when its argument is one of `forbidden`."""
    tests = [step for value in forbidden for step in (_step(EQUAL, value, 0, 1), _give(REFUSE))]
    body = [*_load(16 + 8 * argument), *tests, *_load(0)]
    return [_step(EQUAL, number, 0, len(body)), *body]
