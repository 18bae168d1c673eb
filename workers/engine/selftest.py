"""Tests the jail on this machine: a child locks itself down and tries to escape; the jail itself is in `jail`.

`python -I workers/engine/selftest.py` prints the findings as one JSON object and exits with 1 if there is a hole.
Standard library only.
"""

import dataclasses
import functools
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

if not __package__:  # run as a script under -I, which puts no folder on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from workers.engine import jail
from workers.engine.attacks import ATTACKS, CPU_SECONDS, FILE_BYTES, MARK, MEMORY_BYTES, SOCKET, Attack, Targets

SECONDS = 10  # the whole test takes some 30 ms; a child that hangs is a finding too


class Answer(TypedDict, total=False):
    """The message of the child that attacks; `broken` says why it could not."""

    holes: list[str]
    layers: dict[str, int]
    broken: str


@dataclass(frozen=True)
class Findings:
    """`holes` are sentences, empty if the jail holds; `layers` are those that the child reports as installed."""

    holes: tuple[str, ...]
    attacks: int
    layers: dict[str, int]
    milliseconds: float

    def sentence(self) -> str:
        """Return the reason why this machine refuses jobs, for an operator."""
        return "The sandbox does not hold on this machine: " + " ".join(self.holes) if self.holes else ""


@functools.cache
def run() -> Findings:
    """Attack a real jail, once per process."""
    return attack_from(lambda targets: dataclasses.asdict(_lock(targets)))


def attack_from(lock: Callable[[Targets], dict[str, int]]) -> Findings:
    """Try every attack from a child that first calls `lock`."""
    started = time.perf_counter()
    with _targets() as (targets, arrived):
        report = _in_a_child(lambda: _attack_all(lock, targets), seconds=SECONDS)
        holes = [str(hole) for hole in report.get("holes", [])]
        if "broken" in report:
            holes.append(str(report["broken"]))
        if arrived():
            holes.append("A datagram left the sandbox.")
        if _is_dead(targets.victim):
            holes.append("A process outside was killed.")
        layers = report.get("layers", {})
    return Findings(tuple(holes), len(ATTACKS), layers, round(1000 * (time.perf_counter() - started), 1))


def _lock(targets: Targets) -> jail.Layers:
    return jail.lock_down(targets.work, [], memory_bytes=MEMORY_BYTES, cpu_seconds=CPU_SECONDS, file_bytes=FILE_BYTES)


def _attack_all(lock: Callable[[Targets], dict[str, int]], targets: Targets) -> Answer:
    try:
        layers = lock(targets)
    except jail.JailUnavailable as problem:
        return {"broken": str(problem)}
    return {"layers": layers, "holes": [sentence for sentence, attempt in ATTACKS.items() if _works(attempt, targets)]}


def _works(attempt: Attack, targets: Targets) -> bool:
    try:
        return attempt(targets)
    except (OSError, MemoryError, ValueError):
        return False


# --- the stage -------------------------------------------------------------------------------------------------------
@contextmanager
def _targets() -> Iterator[tuple[Targets, Callable[[], bool]]]:
    """Set up the targets; yield them with a function that returns whether a datagram arrived."""
    folder = Path(tempfile.mkdtemp(prefix="dovetail-selftest-"))
    victim = _start_victim()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    try:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        targets = Targets(folder, folder / "work", victim, servers[0].getsockname()[1], udp.getsockname()[1])
        targets.work.mkdir()
        targets.secret.write_bytes(MARK)
        (folder / "removable").touch()
        place = os.open(folder, os.O_PATH)
        try:  # by the descriptor, since the path of a socket has 107 bytes at most
            for server, address in zip(servers[1:], (f"/proc/self/fd/{place}/{SOCKET}", targets.abstract), strict=True):
                server.bind(address)
                server.listen(1)
        finally:
            os.close(place)
        yield targets, lambda: bool(select.select([udp], [], [], 0)[0])
    finally:
        for server in (udp, *servers):
            server.close()
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        shutil.rmtree(folder)


def _start_victim() -> int:
    parent = os.getpid()
    victim = os.fork()
    if victim == 0:
        jail.die_with_parent(parent)
        time.sleep(2 * SECONDS)
        os._exit(0)
    return victim


def _is_dead(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


def _in_a_child(work: Callable[[], Answer], *, seconds: float) -> Answer:
    """Run `work` in a forked child, end the child, and return the JSON that it wrote."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            jail.die_with_parent(parent)
            jail.close_all_but({0, 1, 2, writer})
            os.write(writer, json.dumps(work()).encode())
        finally:  # never return into the parent's code
            os._exit(0)
    os.close(writer)
    try:
        ended = select.select([reader], [], [], seconds)[0]
        answer = os.read(reader, 1 << 16) if ended else b""
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if not answer:
        return {"broken": f"The test in the sandbox gave no answer (wait status {status})."}
    return cast("Answer", json.loads(answer))


def main() -> int:
    """Print the findings; return 1 if there is a hole."""
    findings = run()
    sys.stdout.write(json.dumps(dataclasses.asdict(findings)) + "\n")
    return 1 if findings.holes else 0


if __name__ == "__main__":
    raise SystemExit(main())
