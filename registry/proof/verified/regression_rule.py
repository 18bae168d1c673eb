"""Decides from two reports whether the newer version scored worse than the older one beyond chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from dovetail.adapters.results import paired
from dovetail.adapters.results.report import BasePin, CheckResult, EngineVersions, Evaluation, Provenance, Report
from registry.models import Regression
from registry.repos.eligibility import adapter_folders, folder_of, is_neutral

CHECK = "eval.regression"
MOST = 1e12  # of a number of a row, and of its weight
FLOOR = 0.01  # the smallest harm that counts: of a share in points, of a loss in parts of the loss before
OTHER_ROWS = "Not comparable: the two versions were measured on other rows."
FIX = "Push a version that scores as well, or let this one become `verified` with a reason, as an owner."
Outcome = Regression.Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome, as a sentence in `reason`, and its numbers: they are None where the two cannot be compared.

    `difference` is now minus before in the mean of the rows, and `p` the one-sided chance of so large a harm among
    versions that do not differ. `notes` name what else differs between the two measurements.
    """

    outcome: str
    reason: str
    metric: str | None = None
    better: str | None = None
    before: float | None = None
    now: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    rows: int | None = None
    test: str | None = None
    p: float | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the columns of its row besides the outcome."""
        document = asdict(self)
        del document["outcome"]
        return document


def compare(now: Report, before: Report) -> Result:
    """Compare two reports on the same base and the same rows by a paired test of the rows' numbers.

    `paired.compare` says which test it is. It is worse if on any rows that both were run on the one-sided p is below
    paired.ALPHA, divided by the number of such tests (Bonferroni), and the harm reaches FLOOR: rows that each lose a
    rounding stop nobody. Adapters beside it, and other folders, lead no adapter past its comparison.
    """
    if reason := _base_differs(now, before):
        return Result(Outcome.INCOMPARABLE, reason)
    newer, older = measurements(now), measurements(before)
    if not newer or not older:
        version = "this version" if not newer else "the verified one"
        reason = f"Not comparable: {version} has no numbers row by row.{_left_out(now)}"
        return Result(Outcome.INCOMPARABLE, reason)
    holds_others = newer.keys() != older.keys()
    if holds_others:
        newer, older = _named(now, newer), _named(before, older)
    results = list(_results(now, before, newer, older))
    if holds_others:
        results.append(Result(Outcome.INCOMPARABLE, "Not comparable: the two versions hold other adapters."))
    order = [Outcome.WORSE, Outcome.INCOMPARABLE, Outcome.BETTER, Outcome.EQUAL]
    return min(results, key=lambda result: order.index(Outcome(result.outcome)))


def _results(now: Report, before: Report, newer: "Places", older: "Places") -> Iterator[Result]:
    """Yield the result for each adapter of the older version, by its folder; for one that moved, by all new folders."""
    added = sorted(newer.keys() - older.keys())
    pairs = {
        place: {to: list(_on_same_rows(newer[to], older[place])) for to in ([place] if place in newer else added)}
        for place in older
    }
    tests = sum(len(rows) for by_place in pairs.values() for rows in by_place.values())
    alpha, notes = paired.ALPHA / max(1, tests), tuple(_notes(now, before))
    incomparable = Result(Outcome.INCOMPARABLE, f"{OTHER_ROWS}{_left_out(now)}")
    for by_place in filter(None, pairs.values()):
        compared = {to: [_compared(*pair, alpha, to, notes) for pair in rows] for to, rows in by_place.items()}
        yield _least([_worst(results) or incomparable for results in compared.values()])


def _least(results: Sequence[Result]) -> Result:
    """Return a result that is not worse, if there is one: an adapter that moved is any of the new ones."""
    return min(results, key=lambda result: result.outcome == Outcome.WORSE)


def _worst(results: Sequence[Result]) -> Result | None:
    """Return a result that is worse, else the first that compares, else the first; None without any."""
    incomparable = [Outcome.INCOMPARABLE]
    return min(results, key=lambda it: (it.outcome != Outcome.WORSE) + (it.outcome in incomparable), default=None)


def _left_out(report: Report) -> str:
    """Return why the rows of earlier versions were not run, as a sentence after a space; "" if they were."""
    reasons = [f"{rows.revision[:12]}: {rows.left_out}" for rows in report.earlier or () if rows.left_out]
    return f" Rows of an earlier version were not run on this one ({'; '.join(reasons)})." if reasons else ""


def check_of(result: Result) -> CheckResult:
    """Return the check as the report of the newer version lists it."""
    where = {name: value for name, value in result.as_json().items() if value is not None and name != "reason"}
    where = {name: list(value) if isinstance(value, tuple) else value for name, value in where.items()}
    if result.outcome == Outcome.WORSE:
        return CheckResult(CHECK, "warned", result.reason, FIX, where)
    return CheckResult(
        CHECK, "skipped" if result.outcome == Outcome.INCOMPARABLE else "passed", result.reason, "", where
    )


def _base_differs(now: Report, before: Report) -> str:
    newer, older = now.base or BasePin(), before.base or BasePin()
    if not newer.sha256 or newer.sha256 != older.sha256:
        return f"Not comparable: the verified version was measured on other files of {older.id or 'another base'}."
    return ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Numbers of one adapter row by row, on the rows of its own version or on those of an earlier one."""

    evaluation: Evaluation
    is_own: bool

    @property
    def rows(self) -> tuple[str | None, str | None, int]:
        """The rows and what was asked of them: only measurements that agree in it can be paired."""
        return self.evaluation.rows_sha256, self.evaluation.task, len(self.evaluation.scores or ())


Places = Mapping[str, Sequence[Measurement]]  # by folder


def measurements(report: Report) -> dict[str, list[Measurement]]:
    """Return the numbers that decide by the adapter's folder, "" where one adapter was measured; its own come first."""
    folders = adapter_folders(report)
    by_place: dict[str, list[Measurement]] = {}
    for evaluation in report.evals:
        if evaluation.scores and not is_neutral(evaluation):
            by_place.setdefault(folder_of(evaluation.name, folders), [Measurement(evaluation, True)])
    for rows in report.earlier or ():
        if rows.evaluation and rows.evaluation.scores:
            by_place.setdefault((folders and rows.place) or "", []).append(Measurement(rows.evaluation, False))
    return by_place


def _named(report: Report, by_place: dict[str, list[Measurement]]) -> dict[str, list[Measurement]]:
    """Return the measurements by folder, also where one adapter was measured."""
    return {report.path: by_place[""]} if by_place.keys() == {""} else by_place


def _on_same_rows(
    newer: Sequence[Measurement], older: Sequence[Measurement]
) -> Iterator[tuple[Measurement, Measurement]]:
    """Yield the pairs of measurements on the same rows, those on the older version's own rows first."""
    mine = {measurement.rows: measurement for measurement in reversed(newer)}
    for measurement in older:
        if measurement.evaluation.rows_sha256 and measurement.rows in mine:
            yield mine[measurement.rows], measurement


def _compared(newer: Measurement, older: Measurement, alpha: float, name: str, notes: tuple[str, ...]) -> Result:
    now, before = newer.evaluation, older.evaluation
    if (now.metric, now.better) != (before.metric, before.better):
        words = f"{now.metric} here, {before.metric} before"
        return Result(Outcome.INCOMPARABLE, f"Not comparable: another number decides ({words}).")
    judged = judge(now, before, alpha)
    if judged is None:
        return Result(Outcome.INCOMPARABLE, "Not comparable: the numbers of the rows are no measurement.")
    outcome, pair, p_worse, p_better = judged.outcome, judged.pair, judged.p_worse, judged.p_better
    low, high = pair.interval
    return Result(
        outcome,
        _sentence(outcome, newer, older, pair, p_better if outcome == Outcome.BETTER else p_worse, name, notes),
        now.metric,
        now.better,
        before.adapter,
        now.adapter,
        round(pair.difference, 4),
        (round(low, 4), round(high, 4)),
        pair.rows,
        pair.test,
        round(p_worse, 6),
        notes,
    )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of the paired test of two measurements on the same rows, and its one-sided chances."""

    outcome: Outcome
    pair: paired.Paired
    p_worse: float
    p_better: float


def judge(now: Evaluation, before: Evaluation, alpha: float = paired.ALPHA) -> Judgement | None:
    """Return what the paired test says of two measurements on the same rows; None if the rows' numbers are none."""
    scores, earlier = now.scores or (), before.scores or ()
    if not _are_numbers(scores, earlier, now.weights):
        return None
    pair = paired.compare(scores, earlier, now.weights)
    less_is_worse = now.better == "higher"
    harm = -pair.difference if less_is_worse else pair.difference
    p_worse, p_better = (pair.lower, pair.higher) if less_is_worse else (pair.higher, pair.lower)
    floor = FLOOR if less_is_worse else FLOOR * abs(sum(earlier) / len(earlier))
    outcome = Outcome.EQUAL
    if p_worse < alpha and harm >= floor:
        outcome = Outcome.WORSE
    elif p_better < alpha and -harm >= floor:
        outcome = Outcome.BETTER
    return Judgement(outcome, pair, p_worse, p_better)


def _are_numbers(scores: Sequence[float], earlier: Sequence[float], weights: Sequence[float] | None) -> bool:
    """Return whether rows can be averaged: an engine opens strangers' files, and may say anything that is a number."""
    is_weighted = weights is None or (len(weights) == len(scores) and all(0 < weight < MOST for weight in weights))
    return is_weighted and all(abs(score) < MOST for score in (*scores, *earlier))


WORDS = {
    Outcome.WORSE: "It scores worse than the verified version by more than chance",
    Outcome.BETTER: "It scores better than the verified version by more than chance",
    Outcome.EQUAL: "It does not score worse than the verified version by more than chance",
}


def _sentence(
    outcome: Outcome,
    newer: Measurement,
    older: Measurement,
    pair: paired.Paired,
    p: float,
    name: str,
    notes: tuple[str, ...],
) -> str:
    low, high = pair.interval
    now, before = newer.evaluation, older.evaluation
    where = f" ({now.name if newer.is_own else name})" if name else ""
    whose = "" if newer.is_own else " of the verified version" if older.is_own else " of an earlier version"
    places = 2 if pair.rows < 100 else 3  # more digits than so many rows allow say nothing
    numbers = f"{now.metric} {now.adapter:.{places}f} after {before.adapter:.{places}f}"
    spread = f"difference {pair.difference:+.{places}f}, 95 % interval {low:+.{places}f} to {high:+.{places}f}"
    test = f"{pair.rows} rows{whose}, {pair.test}, p = {p:.2g}"
    more = f" The measurements also differ in: {'; '.join(notes)}." if notes else ""
    return f"{WORDS[outcome]}{where}: {numbers} ({spread}; {test}).{more}"


def _notes(now: Report, before: Report) -> Iterator[str]:
    """Yield what differs between two measurements that can be compared all the same."""
    newer, older = now.engine or EngineVersions(), before.engine or EngineVersions()
    for name in ("name", "dtype", "device"):
        values = getattr(older, name), getattr(newer, name)
        if all(values) and values[0] != values[1]:
            yield f"{'engine' if name == 'name' else name} {values[0]} → {values[1]}"
    if now.conditions and before.conditions and now.conditions.seed != before.conditions.seed:
        yield f"seed {before.conditions.seed:g} → {now.conditions.seed:g}"
    if now.path != before.path:
        yield f"folder {before.path or 'the top'} → {now.path or 'the top'}"
    yield from differences(before, now)


def differences(before: Report, now: Report) -> Iterator[str]:
    """Yield in words how two proofs of the same bytes differ in what they were made with."""
    old, new = before.proven_with or Provenance(), now.proven_with or Provenance()
    for engine, libraries in new.engines.items():
        earlier = old.engines.get(engine) or {}
        for library, version in libraries.items():
            if earlier.get(library) not in (None, version):
                yield f"{library} {earlier[library]} → {version}"
    if old.checks not in (None, new.checks):
        yield "other checks"
    if old.rules not in (None, new.rules):
        yield "other rules of serving"
    base_before, base_now = before.base or BasePin(), now.base or BasePin()
    if base_before.sha256 and base_now.sha256 and base_before.sha256 != base_now.sha256:
        yield f"other files of {base_now.id}"
