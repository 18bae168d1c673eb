"""What this worker can do, as it tells the others: its name, the bases on its shelf, the engines that are built."""

import functools
import os
import socket
from pathlib import Path
from typing import Any

from registry.kernel.errors import ShelfProblem
from registry.models import Base
from registry.proof.verdicts import Hands
from workers import matrix, sandbox, shelf


def name() -> str:
    """Return how this process is called in attempts and heartbeats."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def unfit() -> str:
    """Return why this machine may take no jobs, "" when its sandbox holds; tested once a process."""
    return sandbox.self_test(interpreter())


def interpreter() -> Path:
    """Return the Python of the engine that decides most."""
    return matrix.interpreter(matrix.built()[0])


def hands() -> Hands:
    """Return what the queue must know to give us work."""
    return Hands(frozenset(map(str.lower, here())), frozenset(matrix.lacks()), tuple(matrix.built()))


def offers(door: str, slots: int) -> dict[str, Any]:
    """Return what a heartbeat says; `door` is the queue that only this worker listens to, `slots` its processes."""
    return {
        "door": door,
        "slots": slots,
        "bases": here(),
        "engines": matrix.built(),
        "lacks": matrix.lacks(),
    }


def here() -> dict[str, str]:
    """Return the bases whose files are on this machine, with their digests."""
    rows = Base.objects.filter(has_weights=True).only("id", "revision", "sha256").order_by("id")
    return {base.id: base.sha256 for base in rows if _is_here(base)}


def _is_here(base: Base) -> bool:
    try:
        shelf.path(base)
    except ShelfProblem:
        return False
    return True
