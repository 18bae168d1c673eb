"""The jail: a process locks itself down before it opens an uploaded byte.

Three layers, each installed by the process itself without any privilege: resource limits, `landlock` (an allow-list of
files, no TCP, nothing outside reachable by signal or abstract socket) and `seccomp` (a list of refused system calls).
A layer that cannot be installed raises `JailUnavailable`: half a jail is no jail. Standard library only.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from workers.engine.lockdown import layers, syscalls
from workers.engine.lockdown.syscalls import JailUnavailable

__all__ = ["JailUnavailable", "Layers", "close_all_but", "die_with_parent", "give_up_writing", "lock_down", "threads"]

_stays = False


@dataclass(frozen=True)
class Layers:
    """The layers of the jail that hold now."""

    landlock_abi: int
    no_tcp: bool  # by Landlock too (ABI 4); seccomp refuses every socket in any case
    no_signals: bool  # by Landlock too (ABI 6); seccomp refuses signals to others in any case
    seccomp_instructions: int
    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


def lock_down(
    work: Path | None,
    readable: Iterable[Path],
    *,
    memory_bytes: int,
    cpu_seconds: int,
    file_bytes: int,
    devices: Collection[Path] = (),
    stays: bool = False,
    threads_too: bool = False,
    calls: Collection[str] = (),
) -> Layers:
    """Lock this process down permanently. Call it single-threaded, before the first byte of an upload is opened.

    `work` is the only folder that may be written (None: no folder); it must not contain hard links to files that
    matter. `readable` are files and folders that may be read, besides `landlock.interpreter_paths`.
    `memory_bytes` bounds the whole address space, of which torch itself maps several GB; `file_bytes` is per file.
    `devices` are device files that may be read, written and controlled; their driver then becomes part of the trusted
    base, and may start threads. Without them threads are refused, unless there are to be `threads_too`, and so are
    listed calls, but for `calls` that a library makes at its start and that reach nobody.
    A process that `stays` takes one adapter after another: it keeps the right to write into `work`, and its limits are
    changed from outside (prlimit(2)), never by itself. Raises `JailUnavailable`: the process must not go on then.
    """
    global _stays
    syscalls.require(syscalls.ARCHITECTURE in syscalls.COLUMN and sys.platform == "linux", _wrong_machine())
    syscalls.require(threads() == 1, f"The jail binds one thread, and this process already has {threads()}.")
    mapped = _mapped_bytes()
    syscalls.require(
        memory_bytes > mapped, f"The memory limit of {memory_bytes:,} bytes is below the {mapped:,} already mapped."
    )
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0, "dumpable")
    _limit(memory_bytes, cpu_seconds, file_bytes, movable=stays)
    _drop_capabilities()
    abi = layers.install_landlock(work, readable, devices)
    length = layers.install_seccomp(layers.DEVICE_CALLS if devices else calls, threads=threads_too)
    _stays = stays
    return Layers(abi, abi >= 4, abi >= 6, length, memory_bytes, cpu_seconds, file_bytes)


def give_up_writing() -> None:
    """Give up the right to write into the work folder once everything is written. Raises `JailUnavailable`.

    Resource limits bound the size of a file, but not the number of files. A process that stays keeps the right, and its
    parent watches the folder.
    """
    if not _stays:
        layers.give_up_writing()


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends; `parent` is the pid it expects.

    Start such a process from a thread that lives as long as the process may: the signal follows the thread.
    """
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, "parent-death signal")
    if os.getppid() != parent:  # the parent died before the line above took hold
        os._exit(1)


def close_all_but(keep: Collection[int]) -> None:
    """Close every inherited descriptor but those in `keep`: a descriptor passes every layer of the jail."""
    start = 0
    for descriptor in [*sorted(keep), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]:
        if descriptor > start:  # CPython 3.11 treats an empty range as an endless one (_Py_closerange)
            os.closerange(start, descriptor)
        start = descriptor + 1


def threads() -> int:
    """Return the number of threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


# --- limits and privileges -------------------------------------------------------------------------------------------
MOVABLE = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)


def _limit(memory_bytes: int, cpu_seconds: int, file_bytes: int, *, movable: bool) -> None:
    limits = {
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 2),  # first SIGXCPU, then SIGKILL
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_NOFILE: (256, 256),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for which, (soft, hard) in limits.items():
        ceiling = resource.getrlimit(which)[1]
        if movable and which in MOVABLE:
            hard = ceiling
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(which, (soft, hard))


def _drop_capabilities() -> None:
    """Drop every capability: with them, root could bypass the other layers."""
    header = struct.pack("<Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    syscalls.system_call("capset", header, b"\0" * 24)


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _wrong_machine() -> str:
    return f"The jail needs Linux on x86_64 or aarch64, and this is {sys.platform} on {syscalls.ARCHITECTURE}."
