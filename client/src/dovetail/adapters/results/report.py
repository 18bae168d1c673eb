"""The report of a verdict: its one definition, for the engine, the workers, REST, the site and the client.

An engine fills the fields that it measures; the hub adds the fields that are declared `trusted`. `records` converts
reports to JSON, and parses hostile and stored JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args

from dovetail.adapters.results import records
from dovetail.adapters.results.records import LIMITS, OPTIONAL, SPARSE, TRUSTED, Limits, Malformed, Record
from dovetail.adapters.results.usage import AdapterUsage, ProgramRun

CHECK_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*")
MAX_CHECK_ID = 64
CRASHED = "engine.check-crashed"  # the check that reports a fault of the hub, not of the adapter

Outcome = Literal["passed", "warned", "failed", "skipped"]
State = Literal["queued", "running", "passed", "failed", "errored"]
Depth = Literal["static", "fit", "run", "evaluated"]
LabelSource = Literal["card", "base", "alphabet"]
Serves = Literal["serves", "refuses", "wrong", "unknown"]
DEPTHS: tuple[Depth, ...] = get_args(Depth)  # the least first
WAITING = "It is waiting for validation."
ENGINE_NOISE = 1e-3  # of a number; two engines that are right differ by 1e-5 and less


def _check_id(value: str) -> str:
    if not CHECK_ID.fullmatch(value) or len(value) > MAX_CHECK_ID:
        raise Malformed(f"not a check id: {value[:40]!r}")
    return value


@dataclass(frozen=True, slots=True)
class CheckResult(Record):
    """One check and its answer. `where` holds names and numbers for programs."""

    id: Annotated[str, _check_id]
    outcome: Outcome
    message: str = ""
    fix: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    duration_ms: float | None = field(default=None, metadata={"absent": 0})


@dataclass(frozen=True, slots=True)
class Evaluation(Record):
    """One metric of the frozen base, of the adapter on it, and as the card claims it; the first one decides.

    A base without a trained head is not measured: `base` is then the best guess without a model, and `guess` true.
    `claimed_on` is the data set of the claim if these rows are not of it: then neither number judges the other.
    `interval` holds the adapter's number in 19 of 20 sets of so many rows; `scores` has the deciding number row by row,
    `weights` those of the rows in the number if they differ. `rows_sha256` and `task` name the rows and what was asked
    of them, so that two versions on the same rows can be compared. `confusion` counts the answers to each label: a row
    for each expected one and a column for each answer, both in the order of the head's outputs.
    """

    name: str
    rows: float = 0
    metric: str = ""
    base: float | None = None
    adapter: float | None = None
    claimed: float | None = None
    claimed_on: str | None = field(default=None, metadata=SPARSE)
    better: Literal["higher", "lower"] = "higher"
    head_alone: float | None = None
    guess: bool | None = field(default=None, metadata=SPARSE)
    interval: tuple[float, ...] | None = field(default=None, metadata=SPARSE)
    scores: tuple[float, ...] | None = field(default=None, metadata=SPARSE)
    weights: tuple[float, ...] | None = field(default=None, metadata=SPARSE)
    rows_sha256: str | None = field(default=None, metadata=SPARSE)
    task: str | None = field(default=None, metadata=SPARSE)
    confusion: tuple[tuple[float, ...], ...] | None = field(default=None, metadata=SPARSE)

    def without_rows(self) -> Evaluation:
        """Return the numbers of all rows together, without what is long."""
        return replace(self, scores=None, weights=None, confusion=None)


@dataclass(frozen=True, slots=True)
class EarlierRows(Record):
    """The adapter on the rows of an earlier version, with which it is compared on them; `left_out` says why it is not.

    `revision` is the commit that holds the rows, `place` the adapter's folder where several were measured.
    """

    revision: str
    evaluation: Evaluation | None = field(default=None, metadata=SPARSE)
    left_out: str = ""
    place: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Cost(Record):
    """The cost of the adapter on top of the frozen base."""

    latency_ratio: float | None = None
    memory_mb: float | None = None
    adapter_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Sample(Record):
    """One row, and the answers of base and adapter to it. `row` is its place among the rows, from 0."""

    input: str
    expected: str | None = None
    base: str = ""
    adapter: str = ""
    row: float | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Conditions(Record):
    """The conditions of the measurement: the name of the rows, the seed, and the rows of each batch.

    `labels_from` says who names the labels of a classifier: the card, the base's config, or, in the order of the
    alphabet, nobody: then it is a guess, and no score is published. It is None if the rows have numbers that nobody
    names. `label_names` are the names in the order of the head's outputs, where they are known.
    """

    rows: str = ""
    seed: float = 0
    batches: tuple[float, ...] = ()
    labels_from: LabelSource | None = field(default=None, metadata=SPARSE)
    label_names: tuple[str, ...] | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class ScalePoint(Record):
    """The adapter at one scale: its score on the rows, and how far its outputs are from the frozen base's.

    `effect` is that distance on the rows, `drift` on plain sentences, each in lengths of the base's output.
    """

    scale: float
    effect: float
    score: float
    drift: float


@dataclass(frozen=True, slots=True)
class Strength(Record):
    """The adapter at several scales, and the smallest one whose score is not worse than the best beyond chance.

    `left_out` says why it was not measured; then there are no points.
    """

    metric: str = ""
    better: Literal["higher", "lower"] = "higher"
    rows: float = 0
    points: tuple[ScalePoint, ...] = ()
    recommended: float | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class EngineVersions(Record):
    """The engine that decided: its name, its libraries and its device."""

    name: str = ""
    torch: str = ""
    transformers: str = ""
    peft: str = ""
    adapters: str | None = None
    attention: str = ""
    device: str = ""
    dtype: str = ""
    threads: float | None = None
    batch: float | None = None


@dataclass(frozen=True, slots=True)
class EngineRow(Record):
    """The outcome on one engine, the check by which it refused the adapter, and what it measured, without its rows."""

    name: str
    transformers: str | None = None
    state: State = field(kw_only=True)
    check: str | None = field(default=None, metadata=OPTIONAL)
    message: str | None = field(default=None, metadata=OPTIONAL)
    evals: tuple[Evaluation, ...] | None = field(default=None, metadata=SPARSE)

    def differs(self, other: EngineRow) -> list[Evaluation]:
        """Return what this engine measured otherwise than another one, beyond the noise of other releases of torch."""
        theirs = {(one.name, one.metric): one.adapter for one in other.evals or ()}
        return [
            one
            for one in self.evals or ()
            if one.adapter is not None
            and (value := theirs.get((one.name, one.metric))) is not None
            and not math.isclose(one.adapter, value, rel_tol=ENGINE_NOISE, abs_tol=ENGINE_NOISE)
        ]


@dataclass(frozen=True, slots=True)
class BasePin(Record):
    """The base model that the adapter was loaded onto, pinned by its files."""

    id: str = ""
    revision: str | None = field(default=None, metadata={"absent": ""})
    sha256: str | None = field(default=None, metadata={"absent": ""})


@dataclass(frozen=True, slots=True)
class Measured(Record):
    """The behaviour of a serving engine that was tried: how many modules of the adapter it reached, or its refusal.

    `mapping` is the depth at which the engine's own classes take the adapter, at the base's size, without weights. At
    the depth `run` it also answered with it, on the same base made small: `answer` tells whose answers it gave.
    """

    depth: Literal["mapping", "run"] = "mapping"
    engine: str = ""  # with its version: vllm 0.32.0
    modules: float = 0
    of: float = 0
    missed: tuple[str, ...] = ()  # some of the modules that it did not reach, as the engine names them
    refusal: str = ""
    answer: Literal["adapter", "base", "neither"] | None = field(default=None, metadata={"optional": True})
    not_run: str | None = field(default=None, metadata={"optional": True})  # why it gave no answer, where it was asked
    stopped: str | None = field(default=None, metadata={"optional": True})  # its limit of time; then nothing is known


@dataclass(frozen=True, slots=True)
class Serving(Record):
    """The behaviour of one serving engine with the adapter (docs/serving.md); `flags` is empty unless it serves it.

    `rules` are the ids of the rules that decided against it; None in older reports. A stored report has the flags that
    depend on the weights; dovetail.serve.server_start completes them, and adds the `commands`, where they are read.
    `by` says whether the outcome was `measured` or follows from a `rule`; None in a stored report means a rule.
    `untried` is the reason why an engine that should be tried was not, which says nothing about the adapter. While it
    waits for its trial this is WAITING, and the outcome is `unknown`, or that of an earlier trial of these files.
    """

    engine: str
    version: str = ""
    outcome: Serves = field(kw_only=True)
    reason: str = ""
    flags: Sequence[str] = ()
    rules: Sequence[str] | None = field(default=None, metadata={"optional": True})
    commands: Sequence[str] | None = field(default=None, metadata=OPTIONAL)
    by: Literal["rule", "measured"] | None = field(default=None, metadata=OPTIONAL)
    measured: Measured | None = field(default=None, metadata=OPTIONAL)
    untried: str | None = field(default=None, metadata=OPTIONAL)

    @property
    def source(self) -> Literal["measured", "by rule", "not tried yet"]:
        """The source of the outcome in words: a run, a rule, or a trial that waits."""
        if self.untried == WAITING:
            return "not tried yet"
        return "measured" if self.by == "measured" else "by rule"


@dataclass(frozen=True, slots=True)
class KnownBase(Record):
    """A base that the hub knows: whether the adapter fits it by names and shapes, and if not, why."""

    base: str
    fits: bool
    has_weights: bool
    why: str


@dataclass(frozen=True, slots=True)
class Fits(Record):
    """The known bases that were compared. `note` states the limits of shapes; `left_out` bases were not compared."""

    bases: tuple[KnownBase, ...] = ()
    note: str = ""
    left_out: float = 0


@dataclass(frozen=True, slots=True)
class Content(Record):
    """One adapter in the repository, and whether the report is about it; then with its own part of the verdict.

    `serving` has a row for each engine that serves it, as the report has for one adapter; only where several are
    proven.
    """

    path: str
    format: str
    kind: str
    proven: bool
    state: State | None = field(default=None, metadata=SPARSE)
    depth: Depth | None = field(default=None, metadata=SPARSE)
    failed: tuple[str, ...] | None = field(default=None, metadata=SPARSE)  # ids of its failed checks
    serves: tuple[str, ...] | None = field(default=None, metadata=SPARSE)  # engines that serve it
    serving: tuple[Serving, ...] | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Provenance(Record):
    """The versions behind a report: engine → library → version, and digests of our checks and serving rules."""

    engines: Mapping[str, Any] = field(default_factory=dict)
    checks: str | None = None
    rules: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Record):
    """The report about one revision. `path` is the folder of the adapter that was checked, "" for the top.

    `usage` says how it is loaded, where an engine ran it; `programs` what became of the programs of Use.
    """

    state: State
    kind: str = ""
    format: str = ""
    base: BasePin | None = None
    depth: Depth | None = field(default=None, metadata={"absent": "static"})
    engine: EngineVersions | None = None
    checks: tuple[CheckResult, ...] = ()
    evals: tuple[Evaluation, ...] = ()
    earlier: tuple[EarlierRows, ...] | None = field(default=None, metadata=SPARSE)
    cost: Cost | None = None
    samples: tuple[Sample, ...] = ()
    usage: AdapterUsage | None = field(default=None, metadata=SPARSE)
    conditions: Conditions | None = None
    strength: Strength | None = field(default=None, metadata=SPARSE)
    serving: tuple[Serving, ...] = ()
    fits: Fits | None = field(default=None, metadata=OPTIONAL)
    engines: tuple[EngineRow, ...] = field(default=(), metadata=TRUSTED)
    contents: tuple[Content, ...] = field(default=(), metadata=TRUSTED)
    path: str = field(default="", metadata=TRUSTED)
    programs: tuple[ProgramRun, ...] | None = field(default=None, metadata=OPTIONAL)
    proven_with: Provenance | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def parse(cls, value: object, limits: Limits = LIMITS) -> Report:
        """Return the report of an engine. Raises `Malformed` also when its state and its checks do not agree."""
        report = records.parse(cls, value, limits)
        if report.state != report.decided or not report.checks:
            names = [check.id for check in report.failed]
            raise Malformed(f"state {report.state} with {len(report.checks)} checks, of which failed: {names}")
        if not report.is_passed:
            return replace(report, serving=())  # an engine may load the files, but they are not a working adapter
        return report

    @classmethod
    def of_result(cls, result: Mapping[str, Any], state: str) -> Report:
        """Return the report stored as `result` in a verdict's row; its state is a column of its own."""
        return cls.read({**result, "state": state})

    def as_result(self) -> dict[str, object]:
        """Return the document that a verdict's row stores as `result`."""
        document = self.as_json()
        del document["state"]
        return document

    @property
    def is_passed(self) -> bool:
        return self.state == "passed"

    @property
    def failed(self) -> list[CheckResult]:
        """The failed checks."""
        return [check for check in self.checks if check.outcome == "failed"]

    @property
    def refusal(self) -> CheckResult | None:
        """The first failed check."""
        return next(iter(self.failed), None)

    @property
    def decided(self) -> State:
        """The state that follows from the checks."""
        return decide(self.checks)


def decide(checks: Sequence[CheckResult]) -> State:
    """Return the state that follows from the checks: `errored` if the hub is to blame."""
    failed = {check.id for check in checks if check.outcome == "failed"}
    if CRASHED in failed:
        return "errored"
    return "failed" if failed else "passed"
