"""The parts that all attacks share: what they aim at, how they are listed, and system calls by their number."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.engine.lockdown import kernel, syscalls

MEMORY_BYTES, CPU_SECONDS, FILE_BYTES = 1 << 30, 5, 1 << 20  # of the jail that is tested
MARK = b"a secret of the hub"


@dataclass(frozen=True)
class Targets:
    """The files and processes that the child tries to reach; they are made for the test and removed after it."""

    folder: Path
    work: Path
    victim: int
    tcp: int
    udp: int

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def abstract(self) -> str:
        return f"\0dovetail-{self.victim}"


SOCKET = "socket"  # its name in the folder
Attack = Callable[[Targets], bool]  # True: the attack worked, which is a hole. An OSError: it was refused.


class Attacks(dict[str, Attack]):
    """Attacks by the sentence that an operator reads if one works; as a decorator it adds one."""

    def __call__(self, sentence: str) -> Callable[[Attack], Attack]:
        def keep(function: Attack) -> Attack:
            self[sentence] = function
            return function

        return keep


def is_carried_out(name: str, *arguments: int | bytes) -> bool:
    """Return whether the kernel would carry out a call: an error about its arguments means that it would."""
    denied = {key: numbers for table in syscalls.DENIED for key, numbers in table.items()}
    numbers = denied.get(name) or syscalls.JUDGED[name]
    libc = ctypes.CDLL(None, use_errno=True)
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    number = numbers[syscalls.COLUMN[kernel.ARCHITECTURE]]
    if libc.syscall(ctypes.c_long(-1 if number is None else number), *passed) >= 0:
        return True
    return ctypes.get_errno() in (errno.EFAULT, errno.EINVAL, errno.EBADF, errno.E2BIG)
