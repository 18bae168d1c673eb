"""Which engines prove an adapter, in which order, and what each said, in one row; running them is not here."""

from pathlib import Path

from django.conf import settings

from dovetail.adapters import describe, files_in
from dovetail.adapters.places import within
from registry.kernel.errors import ShelfProblem
from workers.engine.job import CRASHED, ENGINES
from workers.report import Report

# What depends on the libraries of an engine. All else is said of the files alone, and holds for every engine.
BY_ENGINE = ("fit", "load", "run", "eval", "limits", CRASHED.partition(".")[0])


def interpreter(name: str) -> Path:
    """Return the Python of an engine."""
    return Path(settings.ENGINES) / name / "bin" / "python"


def built() -> list[str]:
    """Return the engines that are built on this machine; the first one there is when there are none, to complain of."""
    return [name for name in ENGINES if interpreter(name).exists()] or list(ENGINES)[:1]


def engines(folder: Path, place: str = "") -> list[str]:
    """Return the engines for the adapter at a place in a folder, the one that decides first.

    A format that no engine runs is looked at by the first: it says so. Raises ShelfProblem without one.
    """
    found = describe(within(files_in(folder), place))
    if found and (reason := lack(found.format)):
        raise ShelfProblem(reason)
    return able(found.format if found else "") or built()[:1]


def able(format_name: str) -> list[str]:
    """Return the engines built here that run a format."""
    return [name for name in built() if format_name in ENGINES[name]]


def lack(format_name: str) -> str:
    """Return why an adapter of this format waits for an engine, "" when it need not."""
    if format_name not in (wanted := lacks()):
        return ""
    return f"Waiting for engine {wanted[format_name]}, which runs the format {format_name}; this worker has it not."


def lacks() -> dict[str, str]:
    """Return the formats that none of the engines built here runs, and which engines would."""
    formats = {format_name for runs in ENGINES.values() for format_name in runs}
    return {
        format_name: " or ".join(name for name, runs in ENGINES.items() if format_name in runs)
        for format_name in sorted(formats)
        if not able(format_name)
    }


def row(name: str, report: Report) -> Report:
    """Return one line of `engines`: how an engine judged, and by which check it refused."""
    said = {"name": name, "transformers": (report["engine"] or {}).get("transformers"), "state": report["state"]}
    refusal = next((check for check in report["checks"] if check["outcome"] == "failed"), None)
    return said | ({"check": refusal["id"], "message": refusal["message"]} if refusal else {})


def depends_on_engine(report: Report) -> bool:
    """Whether another engine may judge otherwise."""
    failed = [check["id"] for check in report["checks"] if check["outcome"] == "failed"]
    return any(name.partition(".")[0] in BY_ENGINE for name in failed)


def missing(result: Report) -> list[str]:
    """Return the engines that could judge as well and have not, wherever they are built.

    A crash or a limit may be the machine's fault: beside an engine that passes the adapter it is no judgement yet.
    """
    judged = {item["name"] for item in result.get("engines", []) if not _may_be_ours(item)}
    return [name for name, runs in ENGINES.items() if result.get("format", "") in runs and name not in judged]


def _may_be_ours(row: Report) -> bool:
    return row.get("state") == "errored" or str(row.get("check")).startswith("limits.")
