"""Capabilities of this worker: its engines and the order in which they prove, the bases in its cache, and its name.

It runs no engine, and reads out of reports how each judged an adapter.
"""

import functools
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from dovetail.adapters.formats.description import describe, within
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.results import records
from dovetail.adapters.results.records import Malformed
from dovetail.adapters.results.report import CRASHED, EngineRow, Report
from registry.kernel import seams
from registry.kernel.errors import ShelfProblem
from registry.models import Base
from registry.proof.verdicts.queue import Capabilities, Offer
from workers import base_folders
from workers.engine.job import ENGINES
from workers.engines.keeper import environment

# Areas of checks that depend on the libraries of an engine. The other checks look at the files alone.
BY_ENGINE = ("fit", "load", "run", "eval", "limits", CRASHED.partition(".")[0])
SELF_TEST = Path(__file__).parents[1] / "engine" / "selftest.py"


def interpreter(name: str) -> Path:
    """Return the Python of an engine."""
    return Path(settings.ENGINES) / name / "bin" / "python"


def present(names: Iterable[str]) -> list[str]:
    """Return those of some engines that are built on this machine."""
    return [name for name in names if interpreter(name).exists()]


def built() -> list[str]:
    """Return the engines that prove and are built here; without any, the first one, so that errors can name it."""
    return present(ENGINES) or list(ENGINES)[:1]


def engines(folder: Path, place: str = "") -> list[str]:
    """Return the engines for the adapter at a place in a folder, the one that decides first.

    The first engine looks at a format that no engine runs. Raises ShelfProblem without an engine for the format.
    """
    description = describe(within(files_in(folder), place))
    if description and (reason := lack(description.format)):
        raise ShelfProblem(reason)
    return able(description.format if description else "") or built()[:1]


def able(format_name: str) -> list[str]:
    """Return the engines built here that run a format."""
    return [name for name in built() if format_name in ENGINES[name]]


def lack(format_name: str) -> str:
    """Return why an adapter of this format waits for an engine, "" when it need not."""
    engines_by_format = lacks()
    if format_name not in engines_by_format:
        return ""
    engine = engines_by_format[format_name]
    return f"Waiting for engine {engine}, for the format {format_name}, which this worker does not have."


def lacks() -> dict[str, str]:
    """Return the formats that none of the engines built here runs, and the engines that would."""
    formats = {format_name for runs in ENGINES.values() for format_name in runs}
    return {
        format_name: " or ".join(name for name, runs in ENGINES.items() if format_name in runs)
        for format_name in sorted(formats)
        if not able(format_name)
    }


def engine_row(name: str, report: Report) -> EngineRow:
    """Return how an engine judged the adapter, the check by which it refused it, and the numbers that it measured."""
    transformers = report.engine.transformers if report.engine else None
    refusal = report.refusal
    return EngineRow(
        name,
        transformers,
        refusal.id if refusal else None,
        refusal.message if refusal else None,
        state=report.state,
        evals=tuple(measured.without_rows() for measured in report.evals) or None,
    )


def depends_on_engine(report: Report) -> bool:
    """Return whether another engine may judge the adapter differently."""
    return any(check.id.partition(".")[0] in BY_ENGINE for check in report.failed)


def engines_missing(report: Report) -> list[str]:
    """Return the engines that run the format and have not judged the adapter, wherever they are built.

    A crash or a limit may be the machine's fault: beside an engine that passes the adapter it is no judgement yet.
    """
    judged = {row.name for row in report.engines if not _may_be_our_fault(row)}
    return [name for name, runs in ENGINES.items() if report.format in runs and name not in judged]


def _may_be_our_fault(row: EngineRow) -> bool:
    return row.state == "errored" or (row.check or "").startswith("limits.")


def name() -> str:
    """Return the name of this process in attempts and heartbeats."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def unfit() -> str:
    """Return why this machine may take no jobs, "" if its sandbox holds; tested once in each process."""
    return _self_test(host_python())


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


def host_python() -> Path:
    """Return the Python of the first engine, which decides most verdicts."""
    return interpreter(built()[0])


def current() -> Capabilities:
    """Return what the queue must know to give this worker a job."""
    bases = frozenset(map(str.lower, here()))
    return Capabilities(bases, frozenset(lacks()), _engines())


def offer(queue: str, slots: int) -> Offer:
    """Return what the heartbeat says; `queue` is the one that only this worker listens to, `slots` its processes."""
    return Offer(queue, slots, here(), _engines(), lacks())


def _engines() -> tuple[str, ...]:
    return (*built(), *present(name for feature in seams.joined() for name in feature.engines()))


def here() -> dict[str, str]:
    """Return the digests of the bases whose files are on this machine, by id."""
    rows = Base.objects.filter(has_weights=True).only("id", "revision", "sha256").order_by("id")
    return {base.id: base.sha256 for base in rows if _is_here(base)}


def _is_here(base: Base) -> bool:
    try:
        base_folders.path(base)
    except ShelfProblem:
        return False
    return True
