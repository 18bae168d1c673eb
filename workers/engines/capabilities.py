"""Tells what this worker can do: its name, the bases in its cache, the engines that are built."""

import functools
import os
import socket
import subprocess
import tempfile
from pathlib import Path

from dovetail.adapters.results import records
from dovetail.adapters.results.records import Malformed
from registry.kernel.errors import ShelfProblem
from registry.models import Base
from registry.proof.verdicts import Capabilities, Offer
from workers.bases import base_cache
from workers.engines import engine_matrix
from workers.engines.keeper import environment

SELF_TEST = Path(__file__).parents[1] / "engine" / "selftest.py"


def name() -> str:
    """Return the name of this process in attempts and heartbeats."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def unfit() -> str:
    """Return why this machine may take no jobs, "" if its sandbox holds; tested once in each process."""
    return _self_test(interpreter())


def _self_test(python: Path) -> str:
    """Attack the jail with that interpreter; return why no job may be taken here, or "" when the jail holds."""
    if not python.exists():
        return f"There is no engine interpreter at {python}: build it with `make engines`."
    try:
        done = subprocess.run(
            [str(python), "-I", str(SELF_TEST)],
            env=environment(Path(tempfile.gettempdir())),
            cwd="/",
            capture_output=True,
            timeout=30,
        )
        holes = records.load(done.stdout)["holes"]
    except (OSError, subprocess.TimeoutExpired, Malformed, KeyError) as problem:
        return f"The sandbox self-test could not run: {problem}"
    return "The sandbox does not hold on this machine: " + " ".join(holes) if holes else ""


def interpreter() -> Path:
    """Return the Python of the first engine, which decides most verdicts."""
    return engine_matrix.interpreter(engine_matrix.built()[0])


def current() -> Capabilities:
    """Return what the queue must know to give this worker a job."""
    bases = frozenset(map(str.lower, here()))
    return Capabilities(bases, frozenset(engine_matrix.lacks()), _engines())


def offer(door: str, slots: int) -> Offer:
    """Return what the heartbeat says; `door` is the queue that only this worker listens to, `slots` its processes."""
    return Offer(door, slots, here(), _engines(), engine_matrix.lacks())


def _engines() -> tuple[str, ...]:
    return (*engine_matrix.built(), *engine_matrix.measurers())


def here() -> dict[str, str]:
    """Return the digests of the bases whose files are on this machine, by id."""
    rows = Base.objects.filter(has_weights=True).only("id", "revision", "sha256").order_by("id")
    return {base.id: base.sha256 for base in rows if _is_here(base)}


def _is_here(base: Base) -> bool:
    try:
        base_cache.path(base)
    except ShelfProblem:
        return False
    return True
