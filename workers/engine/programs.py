"""Runs the programs of *Use* as they stand, each in a jailed child, from a cache of huggingface_hub without network."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from signal import SIGXCPU
from typing import TYPE_CHECKING, Literal

from dovetail.adapters.results.records import Limits, Malformed
from dovetail.adapters.results.usage import ProgramRun
from workers.engine import work_folders
from workers.engine.job import Job
from workers.engine.processes import stage
from workers.engine.processes.child import MEMORY_WORDS
from workers.engine.processes.sessions import CODE
from workers.engine.processes.stage import Ending, Say, Walls

if TYPE_CHECKING:
    from workers.engine.models.frozen import Frozen

RAN = "program"  # the frame of a child
LIMITS = Limits(text=1000)
OFTEN_ASKED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "processor_config.json",
    "preprocessor_config.json",
    "adapter_config.json",
)
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# An HTTP client reads them when it is made, which is before it is told that there is no network.
CERTIFICATES = (Path("/etc/ssl/certs"), Path("/etc/pki/tls/certs"), Path("/usr/share/ca-certificates"))
PRINTED, PROBLEM = 400, 300  # characters that are kept
TOLERANCE = 0.02  # of a number that was measured in a batch: the order of additions differs


def run_all(job: Job, frozen: Frozen) -> list[dict[str, object]]:
    """Run the programs of a job one after another; return a `ProgramRun` for each as JSON."""
    return [_run(job, frozen, program).as_json() for program in job.programs]


def _run(job: Job, frozen: Frozen, program: Mapping[str, str]) -> ProgramRun:
    key, sha256 = program["key"], program["sha256"]
    work = Path(tempfile.mkdtemp(prefix="program-"))
    try:
        cache = work / "hub"
        _keep(cache, program["name"], program["revision"], job.folder, job.place)
        _keep(cache, program["base"], program["base_revision"], frozen.folder)
        readable = [job.folder, frozen.folder, *CODE, *filter(Path.exists, CERTIFICATES)]
        walls = Walls(
            work, readable, job.seconds, job.memory_bytes, 1 << 20, job.idle_seconds, job.wall_seconds, threads=True
        )
        began = time.monotonic()
        *frames, ending = stage.run(walls, partial(_be_run, program, cache), (), (RAN,))
        duration = round(1000 * (time.monotonic() - began))
    finally:
        work_folders.remove(work)
    match frames:
        case [{"program": dict() as said}]:
            with contextlib.suppress(Malformed):
                return ProgramRun.parse({"key": key, "sha256": sha256, "duration_ms": duration, **said}, LIMITS)
    outcome, problem = _ended(ending, job)
    return ProgramRun(key, sha256, outcome, problem=problem)


def _ended(ending: object, job: Job) -> tuple[Literal["failed", "not-run"], str]:
    """Return what the end of a child without an answer means: a limit of this machine is no fault of the program."""
    if not isinstance(ending, Ending) or ending.lied:
        return "failed", "Its answer is not credible."
    if ending.excess or ending.signal == SIGXCPU:
        return "not-run", f"It takes more than the {job.seconds:g} s of processor time allowed here."
    if ending.signal:
        return "not-run", f"It was ended by signal {ending.signal}: it probably uses more memory than allowed here."
    return "failed", f"It exited with status {ending.status}."


def _keep(cache: Path, name: str, revision: str, folder: Path, inside: str = "") -> None:
    """Put a folder into a cache as huggingface_hub keeps a revision that it has downloaded.

    It remembers of files that a library asked for in the folder `inside` that the revision has them not.
    """
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "snapshots").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "snapshots" / revision).symlink_to(folder, target_is_directory=True)
    (place / "refs" / "main").write_text(revision)
    for missing in (Path(inside) / name for name in OFTEN_ASKED if not (folder / inside / name).exists()):
        mark = place / ".no_exist" / revision / missing
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _be_run(program: Mapping[str, str], cache: Path, say: Say) -> None:
    """Run the text in the jailed child, and say what it printed or by what it ended."""
    _point_to(cache)
    printed = io.StringIO()
    outcome: dict[str, object] = {"outcome": "ran"}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(program["code"], "program.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own text
    except FAULTS as problem:  # what it raises is the answer; another exception ends the child
        last = " ".join(str(problem).split())[:PROBLEM]
        is_memory = isinstance(problem, MemoryError) or any(word in last for word in MEMORY_WORDS)
        outcome = {"outcome": "not-run" if is_memory else "failed", "problem": f"{type(problem).__name__}: {last}"}
    said = printed.getvalue().strip()
    if outcome["outcome"] == "ran" and (contradiction := _contradiction(said, program.get("answer"))):
        outcome = {"outcome": "failed", "problem": contradiction}
    say({RAN: {**outcome, "printed": _plain(said)}})


def _plain(text: str) -> str:
    clean = "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return clean[:PRINTED]


def _contradiction(printed: str, answer: str | None) -> str:
    """Return a sentence if a program prints something else than the adapter answered when it was measured."""
    if answer is None or printed == answer:
        return ""
    with contextlib.suppress(ValueError):
        if abs(float(printed) - float(answer)) <= TOLERANCE * max(1.0, abs(float(answer))):
            return ""
    return f"It prints {printed[:100]!r}, but the adapter answered {answer[:100]!r} when it was measured."


def _point_to(cache: Path) -> None:
    """Have the libraries, which read their environment when they were imported, look into this cache alone."""
    from huggingface_hub import constants

    before = constants.HF_HUB_CACHE
    constants.HF_HUB_CACHE = constants.HUGGINGFACE_HUB_CACHE = str(cache)
    constants.HF_HUB_OFFLINE = True
    for module in list(sys.modules.values()):
        for name in ("TRANSFORMERS_CACHE", "HF_HUB_CACHE"):
            if getattr(module, name, None) == before:
                setattr(module, name, str(cache))
