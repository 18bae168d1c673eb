"""An engine that a stranger has taken over whole: its first message says what of the hub can be reached from there.

escaped.py TARGETS           as an engine, behind a keeper
escaped.py TARGETS --free    prints the same from a process that nobody confined
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from workers.engine.attacks import is_carried_out
from workers.engine.processes import sessions
from workers.engines import keeper

EXPECTED = {*keeper.environment(Path("/")), "PWD", "LC_CTYPE"}


def reached(targets: Mapping[str, Any]) -> list[str]:
    """Return what could be had of the worker, its parents and the hub's folders."""
    return sorted({what for what, attempt in _attempts(targets) if _works(attempt)})


def _works(attempt: Callable[[], object]) -> bool:
    try:
        return bool(attempt())
    except (OSError, ValueError):
        return False


def _attempts(targets: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], object]]]:
    worker, data = int(targets["worker"]), Path(targets["data"])
    yield "own environment", lambda: os.environ.keys() - EXPECTED
    yield "own descriptors", lambda: [link for link in _descriptors() if not link.startswith(("pipe:", "socket:"))]
    for process in _forebears(worker):
        place = Path("/proc", str(process))
        yield "environment", (place / "environ").read_bytes
        yield "memory", lambda place=place: (place / "mem").open("rb").close() is None
        yield "memory map", (place / "maps").read_bytes
        yield "descriptors", lambda place=place: [file.readlink() for file in (place / "fd").iterdir()]
        yield "root folder", lambda place=place: list((place / "root" / "etc").iterdir())
        yield "work folder", (place / "cwd").readlink
        yield "signal", lambda process=process: os.kill(process, 0) is None
        yield "trace", lambda process=process: is_carried_out("ptrace", 0x4206, process, 0, 0)  # PTRACE_SEIZE
        yield "memory by a call", lambda process=process: is_carried_out("process_vm_readv", process, 0, 0, 0, 0, 0)
    yield "secret key", (data / "secret_key").read_bytes
    yield "database", (data / "db.sqlite3").read_bytes
    yield "list of data", lambda: list(data.iterdir())
    yield "changed data", lambda: (data / "db.sqlite3").write_bytes(b"x")
    yield "blob", (data / "blobs" / "one").read_bytes
    yield "settings", lambda: Path(targets["settings"]).read_bytes()
    yield "changed code", lambda: Path(targets["code"], "evil.py").write_bytes(b"x")
    yield "password file", lambda: Path("/etc/shadow").read_bytes()
    yield "server", lambda: socket.create_connection(("127.0.0.1", targets["tcp"]), timeout=1).close() is None
    yield "broker", lambda: _call(data / "broker.sock")
    yield "namespace", lambda: is_carried_out("unshare", 0x10000000)
    yield "io_uring", lambda: is_carried_out("io_uring_setup", 0, 0)


def _descriptors() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            link = str(descriptor.readlink())
            if link != "/dev/null" and not link.startswith("/proc/"):
                yield link


def _forebears(worker: int) -> list[int]:
    """Return the worker, and all from which it is descended."""
    found = [worker]
    while found[-1] > 1:
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    return [process for process in found if process > 1]


def _call(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        os.chdir(path.parent)  # the path of a socket has 107 bytes at most
        caller.connect(path.name)
        return True


def serve(found: list[str]) -> None:
    sys.stdout.write(json.dumps({"event": "ready", "engine": {}, "base": None, "jail": {"holes": []}, "found": found}))
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if sys.argv[2:]:
        print(json.dumps(reached(given)))
    else:
        sessions.fork_sessions(lambda: serve(reached(given)))
