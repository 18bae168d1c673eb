"""Faults of the parts of a running deployment: kills, cuts, hangs, full disks, wrong clocks."""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from tests.ops.processes import assert_gone, command_line, is_alive
from tests.ops.production import Deployment

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
DISK_BYTES = 32 << 30  # of all services together; SeaweedFS takes seven volumes of a gigabyte for each bucket
LEAST_FREE = 4096
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every process whose own parent dies below this one, so that none is overlooked."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """Return a process and all below it."""
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


def kill(deployment: Deployment, name: str) -> None:
    """Kill a container: every process in it at once."""
    members = family(deployment.processes[name])
    _signal(members, signal.SIGKILL)
    deployment.processes[name].wait()
    assert_gone(members)


def kill_parent(deployment: Deployment, name: str) -> None:
    """Kill the first process of a service alone, and wait until the others have ended by themselves."""
    members = family(deployment.processes[name])
    deployment.processes[name].kill()
    deployment.processes[name].wait()
    assert_gone(members)


def kill_one_below(deployment: Deployment, name: str, *, engine: bool) -> bool:
    """Kill one process below a service's first: an engine, or one of its own; return False if there is none."""
    below = psutil.Process(deployment.processes[name].pid).children(recursive=True)
    chosen = [one for one in below if ("/.engines/" in " ".join(command_line(one))) == engine]
    _signal(chosen[-1:], signal.SIGKILL)
    return bool(chosen)


@contextmanager
def stopped(deployment: Deployment, name: str) -> Iterator[None]:
    """Let a service hang: it accepts connections, and nothing answers."""
    members = family(deployment.processes[name])
    _signal(members, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(members, signal.SIGCONT)


def _signal(members: list[psutil.Process], number: int) -> None:
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)


@contextmanager
def own_disk() -> Iterator[Path]:
    """Yield the folder of a file system of its own, in a sparse file, which can be filled up; needs root."""
    with tempfile.TemporaryDirectory(prefix="dovetail-chaos-") as folder:
        image, disk = Path(folder) / "image", Path(folder) / "disk"
        disk.mkdir(mode=0o755)
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, disk], check=True)
        try:
            Path(folder).chmod(0o755)  # PostgreSQL and nginx run as somebody else
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no byte free on the file system of a folder."""
    file, share = folder / "ballast", 1
    try:
        with file.open("wb", buffering=0) as ballast:
            while (size := shutil.disk_usage(folder).free // share // LEAST_FREE * LEAST_FREE) > 0:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), size)
                except OSError as problem:
                    if problem.errno != errno.ENOSPC:
                        raise
                    share *= 2  # the services wrote meanwhile, or the list of blocks needs one itself
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def clock_off(deployment: Deployment, name: str, hours: int) -> Iterator[None]:
    """Start a service anew with a clock that is wrong by so many hours."""
    skew = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    skew |= {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    with ExitStack() as stack:
        stack.callback(_restart, deployment, name)
        stack.callback(deployment.overrides.pop, name)
        deployment.overrides[name] = skew
        _restart(deployment, name)
        yield


def _restart(deployment: Deployment, name: str) -> None:
    deployment.processes[name].terminate()
    deployment.processes[name].wait(120)
    deployment.start(name)


def left_behind() -> list[psutil.Process]:
    """Return the processes below this one that still run."""
    return [one for one in psutil.Process().children(recursive=True) if is_alive(one)]
