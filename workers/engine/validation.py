"""One validation from the parent's side: a child for each stage, and a verdict from what they say."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dovetail.adapters import families
from dovetail.adapters.checks import CHECKS
from workers.engine import child, rooms, selftest, stage
from workers.engine.job import CRASHED, Job
from workers.engine.stage import Ending, Frame, Walls

if TYPE_CHECKING:
    from workers.engine.frozen import Frozen
    from workers.engine.resident import Resident

HERE = Path(__file__).resolve().parents[2]
CODE = (HERE / "workers", HERE / "client" / "src" / "dovetail")
CRASH_FIX = child.CRASH_FIX
TASK_FIX = "Set task_type to the task it was trained for, and name the base it was trained on."
CHANGED_FIX = "Save only the adapter's own weights."
SIGXCPU, SIGKILL = 24, 9
ALWAYS = ("limits.memory", CRASHED)
ROWS = "eval.rows"  # said where there is something to say of them, before anything is asked
RUN_IDS = tuple(entry.id for entry in CHECKS if entry.stage == "engine" or entry.id == ROWS)
BETTER, SERVED = ("higher", "lower"), ("serves", "refuses", "wrong")
MAX_EVALS = 10
MAX_SAMPLES = 4
MAX_SERVING = 40


class JailBroken(RuntimeError):
    """A child could not lock itself down: no adapter may be opened here."""


@dataclass(slots=True)
class Validation:
    """Runs one job. `tell` is called with each check as it ends. With a `resident` nothing is forked to load it."""

    job: Job
    frozen: Frozen | None
    tell: Callable[[Frame], None]
    resident: Resident | None = None
    checks: list[Frame] = field(default_factory=list)
    evals: list[Frame] = field(default_factory=list)
    facts: Frame = field(default_factory=dict)
    serving: list[Frame] = field(default_factory=list)
    shown: Frame = field(default_factory=dict)  # what the run cost, with what it was measured, and a few answers
    depth: str = "static"
    heard: list[str] = field(default_factory=list)  # the checks that this stage told of, and its last word
    began: float = field(default_factory=time.monotonic)

    def run(self) -> Frame:
        """The verdict. Raises `JailBroken` when the jail really is unavailable: a child's word for it is not enough."""
        if not self.job.folder.is_dir():
            self._add(_failed(CRASHED, "The files to check are not where they were laid out.", CRASH_FIX))
            return self._verdict()
        try:
            return self._run()
        except JailBroken as problem:
            if (findings := selftest.run()).holes:
                raise JailBroken(findings.sentence()) from problem
            self._add(_failed(CRASHED, f"The process of the check said it has no jail: {problem}.", CRASH_FIX))
            return self._verdict()

    def _run(self) -> Frame:
        job, frozen = self.job, self.frozen
        said = self._fork(None, 1 << 16, lambda say: child.static(job, frozen, say), (*child.STATIC_IDS, *ALWAYS))
        self._hear(said, lambda: [*self._asked_of_files(), "serving"])
        if frozen is not None and not self.failed and self._runs_here:
            task, labels = self._model_wanted()
            if not frozen.has(task):
                self._add(_failed("load.error", f"{frozen.id} has no model here for the task {task}.", TASK_FIX))
                return self._verdict()
            self.depth = "fit"
            self._load(frozen, task, labels)
        elif not self.failed and self._is_fitted:
            self.depth = "fit"
        return self._verdict()

    @property
    def _runs_here(self) -> bool:
        """Whether any engine runs this format; of the others the files say all there is to say."""
        return not any(check["id"] == "run.not-here" for check in self.checks)

    @property
    def _is_fitted(self) -> bool:
        return any(check["id"] == "fit.shape" and check["outcome"] == "passed" for check in self.checks)

    @property
    def failed(self) -> list[str]:
        return [check["id"] for check in self.checks if check["outcome"] == "failed"]

    def _load(self, frozen: Frozen, task: str, labels: int) -> None:
        """The stage that loads and runs it, in a child of its own or in the resident."""
        from workers.engine.resident import attach

        job, believed, asked = self.job, (*RUN_IDS, *ALWAYS), [*(id for id in RUN_IDS if id != ROWS), "ran"]
        room = int(self.facts.get("bytes") or 0) + (1 << 20)
        frozen.facts(task, labels)  # here, so that the next adapter finds it warm
        if self.resident is not None:
            if self._left <= 0:
                self._judge(Ending(hung=True))
                return
            self.began += self.resident.prepare(job, task, labels, room)  # a model to get ready is not its to pay for
            self._hear(self.resident.run(job, self._left, believed), lambda: asked)
            if CRASHED in self.failed:
                self.resident.stop()  # whatever it was, it shall not meet the next adapter
            return
        frozen.model(task, labels)
        with _scratch() as work:
            body = partial(attach, job, frozen, task, labels, work)
            self._hear(self._fork(work, room, body, believed), lambda: asked)

    @property
    def _left(self) -> float:
        return self.job.seconds - (time.monotonic() - self.began)

    def _fork(
        self, work: Path | None, room: int, body: Callable[[stage.Say], None], believed: tuple[str, ...]
    ) -> Iterator[Frame | Ending]:
        if self._left <= 0:
            return iter([Ending(hung=True)])
        readable = [self.job.folder, *CODE, *([self.frozen.folder] if self.frozen else [])]
        return stage.run(Walls(work, readable, self._left, self.job.memory_bytes, room), body, believed)

    def _asked_of_files(self) -> list[str]:
        """The checks that files of this family are asked, in their order."""
        return families.ids_of(str(self.facts.get("format")), str(self.facts.get("kind")))

    def _hear(self, said: Iterator[Frame | Ending], asked: Callable[[], list[str]]) -> None:
        self.heard = []
        for item in said:
            if isinstance(item, Ending):
                self._judge(item)
                self._miss(asked())
            else:
                self._take(item)

    def _miss(self, asked: list[str]) -> None:
        """A child that was not heard on everything it is asked, in order, has proven nothing, however friendly it was.

        What it says last, it says once nothing is left to ask.
        """
        if self.failed or self.heard == asked:
            return
        at = next((at for at, (one, other) in enumerate(zip(self.heard, asked, strict=False)) if one != other),
                  min(len(self.heard), len(asked)))  # fmt: skip
        after = asked[at - 1] if at else "its start"
        self._add(_failed(CRASHED, f"The process of the check left out what comes after {after}.", CRASH_FIX))

    def _take(self, frame: Frame) -> None:
        self.heard += frame.keys() & {"serving", "ran"}
        if "jail" in frame:
            raise JailBroken(str(frame["jail"])[:500])
        if "facts" in frame and isinstance(frame["facts"], dict) and not self.facts:
            self.facts = frame["facts"]
        elif "serving" in frame and self.depth == "static" and _is_serving(frame["serving"]):
            self.serving = frame["serving"]
        elif "eval" in frame and len(self.evals) < MAX_EVALS and _is_eval(frame["eval"]):
            self.evals.append(frame["eval"])
            if frame["eval"]["name"] != "neutral":  # plain sentences say nothing of what it is for
                self.depth = "evaluated"
        elif "shown" in frame and not self.shown and _is_shown(frame["shown"]):
            self.shown = frame["shown"]
        elif "ran" in frame and self.depth != "evaluated":
            self.depth = "run"
        elif "check" in frame:
            self.heard += [frame["check"]["id"]] if frame["check"]["id"] != ROWS else []
            self._add(frame["check"])
        elif "changed" in frame and not self.failed:
            names = ", ".join(frame["changed"][:5])
            self._add(_failed("load.changed-base", f"Loading and running it changed the base: {names}.", CHANGED_FIX))

    def _add(self, check: Frame) -> None:
        self.checks.append(check)
        self.tell(check)

    def _judge(self, ending: Ending) -> None:
        seconds = self.job.seconds
        if ending.hung or ending.signal == SIGXCPU:
            self._add(_failed("limits.time", f"It was stopped after {seconds:g} seconds, the limit of a validation.",
                              "Make it cheaper to load and run: a lower rank, fewer target modules."))  # fmt: skip
        elif ending.lied:
            self._add(_failed(CRASHED, f"What the check said cannot be believed: {ending.lied}.", CRASH_FIX))
        elif ending.signal == SIGKILL:
            megabytes = self.job.memory_bytes / 1e6
            self._add(
                _failed(
                    "limits.memory",
                    f"It took more memory than the {megabytes:,.0f} MB a validation may.",
                    child.MEMORY_FIX,
                )
            )
        elif ending.signal or ending.status:
            how = f"signal {ending.signal}" if ending.signal else f"status {ending.status}"
            self._add(_failed(CRASHED, f"The process of the check ended with {how}.", CRASH_FIX))

    def _model_wanted(self) -> tuple[str, int]:
        """What a child says is only taken within bounds."""
        from workers.engine.frozen import CLASSES, MAX_LABELS
        from workers.engine.library import TASK

        task, labels = self.facts.get("task"), self.facts.get("labels")
        if task not in (*CLASSES, TASK) or type(labels) is not int or not 1 <= labels <= MAX_LABELS:
            raise ValueError(f"a child asked for the model {task!r} with {labels!r} labels")
        return task, labels

    def _verdict(self) -> Frame:
        failed, frozen = self.failed, self.frozen
        state = "errored" if CRASHED in failed else "failed" if failed else "passed"
        said: Frame = {
            "state": state, "kind": self.facts.get("kind"), "format": self.facts.get("format"), "depth": self.depth,
            "checks": self.checks, "evals": self.evals,
            "serving": self.serving, **self.shown, "duration_ms": round((time.monotonic() - self.began) * 1000, 1),
        }  # fmt: skip
        if frozen is not None:
            said["base"] = {"id": frozen.id, "revision": self.job.base_revision, "sha256": frozen.sha256}
        return said


def _failed(name: str, message: str, fix: str) -> Frame:
    return {"id": name, "outcome": "failed", "message": message, "fix": fix, "where": {}, "duration_ms": 0.0}


def _is_eval(said: Any) -> bool:
    texts = {"name", "metric", "better"}
    if not isinstance(said, dict) or not said.keys() <= {"rows", "base", "adapter", "claimed", "head_alone", *texts}:
        return False
    return (
        all(isinstance(said.get(key), str) and len(said[key]) <= 100 for key in texts)
        and all(stage.is_number(said[key]) for key in said.keys() - texts)
        and said["better"] in BETTER
    )


def _is_shown(said: Any) -> bool:
    """Whether what was run looks as it should: three numbers of cost, short texts, and with what it was measured."""
    if not isinstance(said, dict) or said.keys() != {"cost", "samples", "conditions"}:
        return False
    cost, samples, conditions = said["cost"], said["samples"], said["conditions"]
    return (
        isinstance(cost, dict) and cost.keys() == {"latency_ratio", "memory_mb", "adapter_mb"}
        and all(map(stage.is_number, cost.values()))
        and isinstance(samples, list) and len(samples) <= MAX_SAMPLES and all(map(_is_sample, samples))
        and _are_conditions(conditions)
    )  # fmt: skip


def _are_conditions(said: Any) -> bool:
    return (
        isinstance(said, dict) and said.keys() == {"rows", "seed", "batches"}
        and isinstance(said["rows"], str) and len(said["rows"]) <= 100
        and isinstance(said["batches"], list) and len(said["batches"]) <= stage.MAX_ITEMS
        and all(map(stage.is_number, (said["seed"], *said["batches"])))
    )  # fmt: skip


def _is_sample(said: Any) -> bool:
    return (
        isinstance(said, dict)
        and {"input", "base", "adapter"} <= said.keys() <= {"input", "expected", "base", "adapter"}
        and all(isinstance(text, str) and len(text) <= 400 for text in said.values())
    )


def _is_serving(said: Any) -> bool:
    """Whether a list has the form of one that says who serves it; what it says is text from the child all the same."""
    return isinstance(said, list) and len(said) <= MAX_SERVING and all(
        isinstance(item, dict)
        and item.keys() == {"engine", "version", "outcome", "reason", "flags"}
        and all(isinstance(item[key], str) for key in ("engine", "version", "outcome", "reason"))
        and item["outcome"] in SERVED
        and isinstance(item["flags"], list)
        and len(item["flags"]) <= stage.MAX_ITEMS
        and all(isinstance(flag, str) for flag in item["flags"])
        for item in said
    )  # fmt: skip


@contextmanager
def _scratch() -> Iterator[Path]:
    """The one folder a child may write: empty, ours, and gone afterwards. Nothing is ever linked into it."""
    path = Path(tempfile.mkdtemp(prefix="child-"))
    try:
        yield path
    finally:
        rooms.remove(path)
