"""Differences of two revisions, of one adapter or of two: keys of configs, weights, and measurements.

Two weight files are compared once, at once if they are small and by a worker if they are large, and the result is kept.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.results import paired
from dovetail.adapters.results.report import Evaluation, Report
from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes import weight_changes as changes
from dovetail.adapters.shapes.factors import Scales
from dovetail.adapters.shapes.weight_changes import Change, Names, Products
from features.compare.models import WeightComparison
from registry.models import Regression
from registry.proof.verified import regression_rule
from registry.repos.contents import facts
from registry.repos.eligibility import is_neutral
from registry.repos.manifest import Entry
from registry.sql import lock_first

logger = logging.getLogger(__name__)
SMALL_BYTES = 16 << 20  # of both files: compared in the request
MAX_BYTES = 4 << 30  # of both files: more are not compared
MAX_WAITING = 100  # comparisons: further ones are not queued, so that nobody fills the queue
MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=10)
KEPT = timedelta(days=90)
MAX_WEIGHTS = 8  # files of one comparison
Outcome = Regression.Outcome
Entries = Mapping[str, Entry]
State = Literal["same", "compared", "waiting", "unknown"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The differences of two files; without `names` they are not known, and `problem` or `is_waiting` says why."""

    names: Names | None = None
    products: tuple[Products, ...] = ()
    problem: str = ""
    is_waiting: bool = False


def compare_weights(before: Entry, after: Entry) -> Compared:
    """Return the differences of two safetensors files; those of large ones are waited for. Raises StoreUnavailable."""
    row = WeightComparison.objects.filter(before=before.sha256, after=after.sha256).first()
    if row is not None and row.result is not None:
        return _parsed(row.result)
    size = before.size + after.size
    if size > MAX_BYTES:
        return Compared(problem=f"Together they have {size:,} bytes, more than the {MAX_BYTES:,} that are compared.")
    if size > SMALL_BYTES:
        if row is None:
            _enqueue(before.sha256, after.sha256)
        return Compared(is_waiting=True)
    result = compute(before.sha256, before.size, after.sha256, after.size)
    WeightComparison.objects.update_or_create(
        before=before.sha256, after=after.sha256, defaults={"result": result, "free_at": None}
    )
    return _parsed(result)


def _enqueue(before: str, after: str) -> None:
    if WeightComparison.objects.filter(result__isnull=True).count() < MAX_WAITING:
        WeightComparison.objects.get_or_create(before=before, after=after)
        notify: Callable[[], Any] = import_string(settings.COMPARISON_DOORBELL)
        transaction.on_commit(notify, robust=True)


def compute(before: str, size_before: int, after: str, size_after: int) -> dict[str, object]:
    """Return the differences of two files as the column `result` holds them. Raises StoreUnavailable."""
    first, second = facts.open_blob(before, size_before), facts.open_blob(after, size_after)
    try:
        old, new = headers.read(first), headers.read(second)
    except HeaderError as problem:
        return {"problem": f"One of them is not a safetensors file: {problem}."}
    names, products = changes.compare_names(old, new), changes.compare_values(first, old, second, new)
    return {"names": asdict(names), "products": [_storable(one) for one in products]}


def _storable(one: Products) -> list[Any]:
    numbers = [
        value if math.isfinite(value) else None for value in (one.before, one.after, one.both)
    ]  # JSON has no NaN
    return [one.module, *numbers, one.rank_before, one.rank_after]


def _parsed(result: Mapping[str, Any]) -> Compared:
    if problem := result.get("problem"):
        return Compared(problem=problem)
    names = result["names"]
    reshaped = tuple((name, tuple(old), tuple(new)) for name, old, new in names["reshaped"])
    retyped = tuple((name, old, new) for name, old, new in names["retyped"])
    products = map(_products, result["products"])
    return Compared(Names(tuple(names["added"]), tuple(names["removed"]), reshaped, retyped), tuple(products))


def _products(row: list[Any]) -> Products:
    module, before, after, both, rank_before, rank_after = row
    return Products(module, _number(before), _number(after), _number(both), rank_before, rank_after)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


# --- for workers
def claim() -> WeightComparison | None:
    """Claim the comparison that waited longest; a worker that dies gives it back when the lease ends."""
    now = timezone.now()
    waiting = WeightComparison.objects.filter(result__isnull=True)
    with transaction.atomic():
        while row := lock_first(waiting.filter(free_at__lte=now).order_by("free_at")):
            if row.attempts < MAX_ATTEMPTS:
                row.attempts += 1
                waiting.filter(pk=row.pk).update(free_at=now + LEASE, attempts=row.attempts)
                return row
            give_up(row, "The worker ended before it was done, several times.")
    return None


def finish(row: WeightComparison, result: Mapping[str, object]) -> None:
    """Record the differences."""
    WeightComparison.objects.filter(pk=row.pk).update(result=result, free_at=None)


def give_up(row: WeightComparison, reason: str) -> None:
    """Note that the files cannot be compared now; after the last attempt for good."""
    logger.warning("Two weight files were not compared: %s", reason, extra={"before": row.before, "after": row.after})
    if row.attempts >= MAX_ATTEMPTS:
        finish(row, {"problem": "They could not be read from the store."})


def forget_old() -> None:
    """Delete the comparisons that nobody needs any more; who asks again has them computed again."""
    WeightComparison.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key of an adapter_config.json that differs; a value is None on the side that lacks the key."""

    path: str
    key: str
    change: str  # added, removed or changed
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class WeightsChange:
    """The differences of one safetensors file that both revisions have; `changes` has the largest first."""

    path: str
    state: State
    compared: Compared
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a report, the rows that it was measured on, and the digest of the base's files."""

    evaluation: Evaluation
    rows: tuple[str | None, float]
    base: str | None

    @property
    def asked(self) -> tuple[str | None, str]:
        """The task and the metric: measurements that differ in them are of different things."""
        return self.evaluation.task, self.evaluation.metric

    def compares_with(self, other: "Measured") -> bool:
        """Return whether a difference of the two says something: they are on the same rows.

        A loss on another base counts other tokens.
        """
        is_alike = self.rows == other.rows and self.asked == other.asked
        is_alike = is_alike and self.evaluation.better == other.evaluation.better
        return is_alike and (self.evaluation.better == "higher" or self.base == other.base)


@dataclass(frozen=True, slots=True)
class EvaluationChange:
    """One metric of either report; a side that did not measure it is None.

    `change` is None unless both were measured on the same rows. `outcome` is better, worse or equal by the paired test
    of their rows, and `p` the chance of such a difference among adapters that do not differ; "" and None without rows.
    """

    before: Measured | None
    after: Measured | None
    change: float | None = None
    outcome: str = ""
    p: float | None = None

    @property
    def row(self) -> Evaluation:
        """The newer measurement, or the older one where there is no newer."""
        row = self.after or self.before
        assert row is not None  # one of the two reports holds it
        return row.evaluation


Why = Literal["better", "equal", "untested", "other-rows", "other-tasks", "other-bases", "not-measured"]


COMPARES = ("better", "equal", "untested")  # outcomes of sides that were measured on the same rows


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The deciding metric of several sides on the same rows; `best` is the index of the side with the best number.

    It is better than all others, or equal to one of them within chance; or they have no numbers row by row to test.
    With any other outcome the sides do not compare, and `sides` has what each was measured to be on rows of its own.
    """

    outcome: Why
    best: int = 0
    sides: Sequence[Measured | None] = ()
    chances: Sequence[float | None] = ()  # of the test of each side against the best one; None for that one
    level: Sequence[int] = ()  # the indexes of the best side and of those that it does not beat

    @property
    def p(self) -> float | None:
        """The largest of these chances."""
        return max((p for p in self.chances if p is not None), default=None)


def conclude(reports: Sequence[Report | None], more: Sequence[Sequence[Evaluation]] = ()) -> Conclusion:
    """Return which side measured best, by the paired tests of the sides' rows.

    `more` has for each side what was measured of it on rows of others.
    """
    every = [_deciding(report, added) for report, added in zip(reports, more or ((),) * len(reports), strict=True)]
    known = _on_the_same_rows(every)
    if known is None:
        own = [next(iter(side), None) for side in every]
        return Conclusion(_why_not(own), sides=own)
    sign = 1 if known[0].evaluation.better == "higher" else -1
    best = max(range(len(known)), key=lambda at: sign * (known[at].evaluation.adapter or 0.0))
    tests = len(known) - 1
    changes = [None if at == best else change_between(side, known[best], tests) for at, side in enumerate(known)]
    chances = [change.p if change else None for change in changes]
    if chances.count(None) > 1:
        return Conclusion("untested", best, known)
    level = [at for at, change in enumerate(changes) if change is None or change.outcome != Outcome.BETTER]
    return Conclusion("equal" if len(level) > 1 else "better", best, known, chances, level)


def alike(reports: Sequence[Report | None], more: Sequence[Sequence[Evaluation]] = ()) -> list[int]:
    """Return the indexes of the most sides that compare with each other, the first of several; [] if no two do."""
    every = [_deciding(report, added) for report, added in zip(reports, more or ((),) * len(reports), strict=True)]
    measured = (one for side in every for one in side)
    groups = [[at for at, side in enumerate(every) if any(map(one.compares_with, side))] for one in measured]
    return max((group for group in groups if len(group) > 1), key=len, default=[])


def _deciding(report: Report | None, more: Sequence[Evaluation]) -> list[Measured]:
    """Return the deciding metric of a report on its own rows, then on those of earlier versions and of others."""
    measured = (
        one for one in _measured(report) if not is_neutral(one.evaluation) and one.evaluation.adapter is not None
    )
    own = next(measured, None)
    base = report.base.sha256 if report and report.base else None
    elsewhere = [*(one.evaluation for one in (report.earlier if report else None) or ()), *more]
    others = (Measured(one, (one.rows_sha256, one.rows), base) for one in elsewhere if one and one.rows_sha256)
    return [*([own] if own else []), *others]


def _on_the_same_rows(sides: Sequence[Sequence[Measured]]) -> list[Measured] | None:
    """Return a measurement of each side, all on the same rows: those of the first side, if there is a choice."""
    for rows in (measured for side in sides for measured in side):
        alike = [next((one for one in side if one.compares_with(rows)), None) for side in sides]
        if all(alike):
            return [one for one in alike if one]
    return None


def _why_not(sides: Sequence[Measured | None]) -> Why:
    """Return why measurements do not compare."""
    known = [side for side in sides if side]
    if len(known) < len(sides):
        return "not-measured"
    if len({side.asked for side in known}) > 1:
        return "other-tasks"
    return "other-rows" if len({side.rows for side in known}) > 1 else "other-bases"


judge = lru_cache(maxsize=1024)(
    regression_rule.judge
)  # numbers that are no shares of right rows take a tenth of a second


def change_between(before: Measured | None, after: Measured | None, tests: int = 1) -> EvaluationChange:
    """Return the difference of one metric on two sides, and what the paired test of their rows says of it.

    It is one of several `tests`, of which chance has as many to pass (Bonferroni).
    """
    if not before or not after or not before.compares_with(after):
        return EvaluationChange(before, after)
    old, new = before.evaluation, after.evaluation
    if old.adapter is None or new.adapter is None:
        return EvaluationChange(before, after)
    change = new.adapter - old.adapter
    if not old.scores or not new.scores or len(old.scores) != len(new.scores):
        return EvaluationChange(before, after, change)
    judged = judge(new, old, paired.ALPHA / tests)
    if judged is None:
        return EvaluationChange(before, after, change)
    return EvaluationChange(before, after, change, judged.outcome, min(judged.pair.lower, judged.pair.higher))


def change_of_versions(before: Report | None, after: Report | None) -> EvaluationChange:
    """Return the difference of two versions in the deciding metric, on rows that both were run on."""
    every = [_deciding(report, ()) for report in (before, after)]
    return change_between(*(_on_the_same_rows(every) or (next(iter(side), None) for side in every)))


def config_changes(old: Entries, new: Entries) -> Iterator[KeyChange]:
    """Yield each key of an adapter_config.json that differs; a file that cannot be read has none."""
    for path in sorted(old.keys() | new.keys()):
        if path.rpartition("/")[2] != configs.NAME or old.get(path) == new.get(path):
            continue
        before, after = facts.config_of(old.get(path)), facts.config_of(new.get(path))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) or (key in before) != (key in after):
                change = "changed" if key in before and key in after else "removed" if key in before else "added"
                yield KeyChange(path, key, change, before.get(key), after.get(key))


def weights_changes(old: Entries, new: Entries, limit: int = MAX_WEIGHTS, only: str = "") -> Iterator[WeightsChange]:
    """Yield the differences of the first safetensors files that both have; of one of these with `only`.

    Raises StoreUnavailable.
    """
    paths = [path for path in sorted(old.keys() & new.keys()) if path.endswith(".safetensors")][:limit]
    for path in paths if not only else {only}.intersection(paths):
        scales = facts.config_beside(old, path), facts.config_beside(new, path)
        if old[path].sha256 == new[path].sha256 and scales[0] == scales[1]:
            yield WeightsChange(path, "same", Compared())
            continue
        kinds = facts.config_beside(old, path).get("peft_type"), facts.config_beside(new, path).get("peft_type")
        if kinds[0] != kinds[1]:  # their tensors of one name do other things to the base
            named = " and ".join(str(kind or "without peft_type") for kind in kinds)
            yield WeightsChange(path, "unknown", Compared(problem=f"The two are of different kinds ({named})."))
            continue
        compared = compare_weights(old[path], new[path])
        state: State = "waiting" if compared.is_waiting else "unknown" if compared.problem else "compared"
        yield WeightsChange(path, state, compared, _changes(compared, *scales))


def _changes(compared: Compared, before: configs.Config, after: configs.Config) -> list[Change]:
    """Return the change of each module, the largest first."""
    found = []
    old, new = Scales(before), Scales(after)
    for one in compared.products:
        scales = old.of(one.module, one.rank_before), new.of(one.module, one.rank_after)
        found.append(weight_changes.changes(one, *scales))
    return sorted(found, key=lambda change: (change.relative is not None, -(change.relative or 0.0), change.module))


def evaluation_changes(before: Report | None, after: Report | None) -> Iterator[EvaluationChange]:
    """Yield each metric of either report, with its measurements on both sides."""
    for old, new in measured_alike([before, after]):
        yield change_between(old, new)


def measured_alike(reports: Sequence[Report | None]) -> Iterator[list[Measured | None]]:
    """Yield each metric of any report, as a list with its measurement in each of them."""
    sides = [{(one.evaluation.name, one.evaluation.metric): one for one in _measured(report)} for report in reports]
    for key in dict.fromkeys(key for side in sides for key in side):
        yield [side.get(key) for side in sides]


def _measured(report: Report | None) -> list[Measured]:
    """Return the metrics of a report; of those on the same rows, only the first names the rows' digest."""
    evals = report.evals if report else ()
    digests = {one.name: one.rows_sha256 for one in reversed(evals) if one.rows_sha256}
    base = report.base.sha256 if report and report.base else None
    return [Measured(one, (digests.get(one.name), one.rows), base) for one in evals]
