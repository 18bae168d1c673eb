"""One validation from the parent's side: runs a child for each stage, and builds the report from their frames."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dovetail.adapters.checks import CHECKS, ids_of
from dovetail.adapters.results.records import Limits, Malformed, Record
from dovetail.adapters.results.report import (
    CRASHED,
    BasePin,
    CheckResult,
    Depth,
    EarlierRows,
    Evaluation,
    Report,
    Serving,
    Strength,
    decide,
)
from workers.engine import selftest, work_folders
from workers.engine.job import Job
from workers.engine.pace import Excess
from workers.engine.processes import child, stage
from workers.engine.processes.sessions import CODE
from workers.engine.processes.stage import Ending, Facts, Frame, Run, Walls

if TYPE_CHECKING:
    from workers.engine.models.frozen import Frozen
    from workers.engine.processes.resident import Resident

CRASH_FIX = child.CRASH_FIX
NOT_RUN = (
    "This hub has no rows that {} can read ({}), so the adapter was not loaded: only its shapes were compared with it."
)
NOT_RUN_FIX = (
    "There is nothing to fix in the adapter; run it yourself, on matching inputs and with the libraries that made it."
)
TASK_FIX = "Set task_type to the task it was trained for, and name the base it was trained on."
CHEAPER_FIX = "Make it cheaper to load and run: use a lower rank or fewer target modules."
CHANGED_FIX = "Save only the adapter's own weights."
SIGXCPU, SIGKILL = 24, 9
ALWAYS = ("limits.memory", CRASHED)
NOT_HERE = "run.not-here"
ROWS = "eval.rows"  # reported only if something is wrong with the rows, before the other checks of its stage
RUN_IDS = tuple(entry.id for entry in CHECKS if entry.stage == "engine" or entry.id == ROWS)
MAX_EVALS = 10
MAX_EARLIER = 4
MAX_SAMPLES = 24  # as samples_of of workers/engine/evals/task.py chooses them
MAX_SERVING = 40
# Limits on the length of a child's texts; those about serving engines are bounded by the bytes of a stage.
EVALUATIONS, RUNS, SERVINGS = (Limits(text=most, exact=True) for most in (100, 400, stage.MAX_BYTES))
T = TypeVar("T", bound=Record)


class JailBroken(RuntimeError):
    """A child could not lock itself down: no adapter may be opened here."""


@dataclass(slots=True)
class Validation:
    """Runs one job. `tell` is called with each check as it ends. With a `resident` no child is forked to load it."""

    job: Job
    frozen: Frozen | None
    tell: Callable[[CheckResult], None]
    resident: Resident | None = None
    checks: list[CheckResult] = field(default_factory=list)
    evals: list[Evaluation] = field(default_factory=list)
    earlier: list[EarlierRows] = field(default_factory=list)
    facts: Facts | None = None
    serving: tuple[Serving, ...] = ()
    measured: Run | None = None
    strength: Strength | None = None
    depth: Depth = "static"
    crash: str = ""  # what the process of a stage raised, and where
    heard: list[str] = field(default_factory=list)  # the checks that this stage reported, and its last frame
    began: float = field(default_factory=time.monotonic)
    used: float = 0.0  # seconds of processor time, in all stages

    def run(self) -> Report:
        """Return the report. Raises `JailBroken` if the self-test confirms it; a child may lie about its jail."""
        if not self.job.folder.is_dir():
            self._add(_failed(CRASHED, "The folder with the files to check is missing.", CRASH_FIX))
            return self._report()
        try:
            return self._run()
        except JailBroken as problem:
            if (findings := selftest.run()).holes:
                raise JailBroken(findings.sentence()) from problem
            self._add(_failed(CRASHED, f"The process of the check reported that it has no jail: {problem}.", CRASH_FIX))
            return self._report()

    def _run(self) -> Report:
        job, frozen = self.job, self.frozen
        frames = self._fork(None, 1 << 16, lambda say: child.static(job, frozen, say), (*child.STATIC_IDS, *ALWAYS))
        self._hear(frames, lambda: [*self._expected_of_files(), "serving"])
        if frozen is not None and frozen.cannot_run and not self.failed and self._runs_here:
            self._add(CheckResult(NOT_HERE, "skipped", NOT_RUN.format(frozen.id, frozen.cannot_run), NOT_RUN_FIX))
            self.depth = "fit"
        elif frozen is not None and not self.failed and self._runs_here:
            task, labels = self._model_wanted()
            if not frozen.has(task):
                self._add(_failed("load.error", f"{frozen.id} has no model here for the task {task}.", TASK_FIX))
                return self._report()
            self.depth = "fit"
            self._load(frozen, task, labels)
        elif not self.failed and self._is_fitted:
            self.depth = "fit"
        return self._report()

    @property
    def _runs_here(self) -> bool:
        """True if an engine runs this format; otherwise only the files can be checked."""
        return not any(check.id == NOT_HERE for check in self.checks)

    @property
    def _is_fitted(self) -> bool:
        return any(check.id == "fit.shape" and check.outcome == "passed" for check in self.checks)

    @property
    def failed(self) -> list[str]:
        return [check.id for check in self.checks if check.outcome == "failed"]

    def _load(self, frozen: Frozen, task: str, labels: int) -> None:
        """Load and run the adapter, in a child of its own or in the resident."""
        from workers.engine.processes.resident import attach

        job, believed = self.job, (*RUN_IDS, *ALWAYS)
        expected = self._expected_of_run
        room = (self.facts.bytes if self.facts else 0) + (1 << 20)
        frozen.facts(task, labels)  # in the parent, so that the next child inherits them
        if self.resident is not None:
            if excess := self._excess:
                self._judge(Ending(excess=excess))
                return
            self.resident.prepare(job, task, labels, room)
            self._hear(self.resident.run(job, self._seconds_left, self._wall_left, believed), lambda: expected)
            if CRASHED in self.failed:
                self.resident.stop()  # the next adapter gets a new process, whatever the cause
            return
        frozen.model(task, labels)
        with _scratch() as work:
            body = partial(attach, job, frozen, task, labels, work)
            self._hear(self._fork(work, room, body, believed), lambda: expected)

    @property
    def _expected_of_run(self) -> list[str]:
        """The checks and frames that an honest child reports when it has loaded and run the adapter."""
        return [*(id for id in RUN_IDS if id != ROWS), "ran"]

    @property
    def _seconds_left(self) -> float:
        return self.job.seconds - self.used

    @property
    def _wall_left(self) -> float:
        return self.job.wall_seconds - (time.monotonic() - self.began)

    @property
    def _excess(self) -> Excess:
        """The limit of time that the stages so far have reached."""
        if self._seconds_left <= 0:
            return "cpu"
        return "wall" if self._wall_left <= 0 else ""

    def _fork(
        self, work: Path | None, room: int, body: Callable[[stage.Say], None], believed: tuple[str, ...]
    ) -> Iterator[Frame | Ending]:
        if excess := self._excess:
            return iter([Ending(excess=excess)])
        job = self.job
        readable = [job.folder, *CODE, *([self.frozen.folder] if self.frozen else [])]
        walls = Walls(work, readable, self._seconds_left, job.memory_bytes, room, job.idle_seconds, self._wall_left)
        return stage.run(walls, body, believed)

    def _expected_of_files(self) -> list[str]:
        """Return the ids of the checks for files of this family, in their order."""
        facts = self.facts or Facts()
        return ids_of(str(facts.format), str(facts.kind))

    def _hear(self, frames: Iterator[Frame | Ending], expected: Callable[[], list[str]]) -> None:
        self.heard = []
        for item in frames:
            if isinstance(item, Ending):
                self.used += item.cpu_seconds
                self._judge(item)
                self._require_all(expected())
            else:
                self._take(item)

    def _require_all(self, expected: list[str]) -> None:
        """Report a crash if a child did not send every expected check in order: then nothing is proven.

        The last frame of a stage comes after its last check.
        """
        if self.failed or self.heard == expected:
            return
        pairs = zip(self.heard, expected, strict=False)
        count = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        after = expected[count - 1] if count else "its start"
        self._add(_failed(CRASHED, f"The process of the check reported nothing after {after}.", CRASH_FIX))

    def _take(self, frame: Frame) -> None:
        """Handle one frame of a child; ignore a frame that is malformed or comes too often."""
        self.heard += frame.keys() & {"serving", "ran"}
        match frame:
            case {"jail": problem}:
                raise JailBroken(str(problem)[:500])
            case {"crash": problem}:
                self.crash = f": {' '.join(str(problem).split())[: stage.CRASH]}"
            case {"facts": dict() as facts} if self.facts is None:
                self.facts = Facts(**facts)
            case {"serving": list() as answers} if self.depth == "static" and len(answers) <= MAX_SERVING:
                found = [parsed(Serving, answer, SERVINGS) for answer in answers]
                self.serving = tuple(filter(None, found)) if all(found) else ()
            case {"eval": document} if len(self.evals) < MAX_EVALS:
                self._measure(parsed(Evaluation, document, EVALUATIONS))
            case {"earlier": document} if len(self.earlier) < MAX_EARLIER:
                self.earlier += filter(None, [parsed(EarlierRows, document, RUNS)])
            case {"strength": document} if self.strength is None:
                self.strength = parsed(Strength, document, EVALUATIONS)
            case {"run": document} if self.measured is None:
                run = parsed(Run, document, RUNS)
                self.measured = run if run and len(run.samples) <= MAX_SAMPLES else None
            case {"ran": _} if self.depth != "evaluated":
                self.depth = "run"
            case {"check": document}:
                check = CheckResult.parse(document, stage.CHECKS)
                self.heard += [check.id] if check.id != ROWS else []
                self._add(check)
            case {"changed": names} if not self.failed:
                message = f"Loading and running it changed the base: {', '.join(names[:5])}."
                self._add(_failed("load.changed-base", message, CHANGED_FIX))

    def _measure(self, evaluation: Evaluation | None) -> None:
        if evaluation is None:
            return
        self.evals.append(evaluation)
        if evaluation.name != "neutral":  # plain sentences do not measure the adapter's task
            self.depth = "evaluated"

    def _add(self, check: CheckResult) -> None:
        self.checks.append(check)
        self.tell(check)

    def _judge(self, ending: Ending) -> None:
        if ending.excess or ending.signal == SIGXCPU:
            self._add(self._late(ending.excess or "cpu"))
        elif ending.lied:
            self._add(_failed(CRASHED, f"The report of the check is not credible: {ending.lied}.", CRASH_FIX))
        elif ending.signal == SIGKILL:
            megabytes = self.job.memory_bytes / 1e6
            self._add(
                _failed(
                    "limits.memory",
                    f"It used more memory than the {megabytes:,.0f} MB that a validation may use.",
                    child.MEMORY_FIX,
                )
            )
        elif ending.signal or ending.status:
            how = f"signal {ending.signal}" if ending.signal else f"status {ending.status}"
            self._add(_failed(CRASHED, f"The process of the check ended with {how}{self.crash}.", CRASH_FIX))

    def _late(self, excess: Excess) -> CheckResult:
        """Return the check that says which limit of time was reached; a busy machine is never the adapter's fault."""
        job = self.job
        if excess == "wall":
            message = f"The machine is too busy: in {job.wall_seconds:g} s it got {self.used:.1f} s of processor time."
            return _failed(CRASHED, message, CRASH_FIX)
        if excess == "idle":
            message = f"It was stopped because it did nothing for {job.idle_seconds:g} seconds."
            return _failed("limits.time", message, child.LOAD_FIX)
        message = f"It was stopped after {job.seconds:g} seconds of processor time, the limit of a validation."
        return _failed("limits.time", message, CHEAPER_FIX)

    def _model_wanted(self) -> tuple[str, int]:
        """Return the task and the number of labels that a child asked for. Raises ValueError outside the bounds."""
        from workers.engine.models.frozen import CLASSES, MAX_LABELS
        from workers.engine.models.library import TASK

        task, labels = (self.facts.task, self.facts.labels) if self.facts else ("", 0)
        if task not in (*CLASSES, TASK) or type(labels) is not int or not 1 <= labels <= MAX_LABELS:
            raise ValueError(f"a child asked for the model {task!r} with {labels!r} labels")
        return task, labels

    def _report(self) -> Report:
        job, frozen, facts, measured = self.job, self.frozen, self.facts or Facts(), self.measured
        return Report(
            state=decide(self.checks),
            kind=facts.kind or "",
            format=facts.format or "",
            base=BasePin(frozen.id, job.base_revision, frozen.sha256) if frozen else None,
            depth=self.depth,
            checks=tuple(self.checks),
            evals=tuple(self.evals),
            earlier=tuple(self.earlier) or None,
            cost=measured.cost if measured else None,
            samples=measured.samples if measured else (),
            usage=measured.usage if measured else None,
            conditions=measured.conditions if measured else None,
            strength=self.strength,
            serving=self.serving,
        )


def parsed(cls: type[T], document: object, limits: Limits) -> T | None:
    try:
        return cls.parse(document, limits)
    except Malformed:
        return None


def _failed(name: str, message: str, fix: str) -> CheckResult:
    return CheckResult(name, "failed", message, fix, duration_ms=0.0)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Lend the one folder that a child may write to; it is removed afterwards, and nothing is ever linked into it."""
    path = Path(tempfile.mkdtemp(prefix="child-"))
    try:
        yield path
    finally:
        work_folders.remove(path)
