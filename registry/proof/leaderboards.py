"""Leaderboards of a task: verified adapters that were measured on the same rows, beside each other. Only reads."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from django.core.cache import caches
from django.db.models import Count, QuerySet

from dovetail.adapters.report import Evaluation, Report
from registry.kernel.deadlines import bounded
from registry.kernel.policy import NOBODY, Caller
from registry.models import Repository, Verdict
from registry.proof.scores import deciding, gain_of, start_of, verdicts_of_verified
from registry.repos import catalog, tallies
from registry.repos.catalog import Query

MOST = catalog.MAX_PAGE  # adapters of a task that are compared: those with the greatest gain
SORTS = ("score", "gain", "size", "updated")
KEY = "measured"  # of the counts in the shared cache
DIGITS = 6  # of numbers that make places
SECONDS = 50  # of a cached count; what is held back is in no answer after a minute
_MEASURED = Query(only_measured=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of an adapter: the deciding metric of its `verified` revision."""

    repository: Repository
    evaluation: Evaluation
    place: int = 0  # in its table, from 1; adapters with the same number share one. 0 where places mean nothing

    @property
    def change(self) -> float:
        """The difference from its trained head alone, or from the frozen base, in the metric's own unit."""
        return (self.evaluation.adapter or 0.0) - start_of(self.evaluation)

    @property
    def gain(self) -> float:
        """The gain over that, comparable between metrics; the column of the repository may still be an older one."""
        return gain_of(self.evaluation)


@dataclass(frozen=True, slots=True)
class Board:
    """Adapters that one metric compares on the same rows; `measured` says which ones, as that of the first does."""

    measured: Evaluation
    standings: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class Boards:
    """The boards of a task, the longest first; `alone` are on rows that nothing else here was measured on."""

    boards: Sequence[Board]
    alone: Sequence[Standing]
    is_capped: bool

    def __bool__(self) -> bool:
        return bool(self.boards or self.alone)


def count_measured(by: Caller) -> dict[str, dict[str, int]]:
    """Return task → base → number of measured adapters that the caller may see, the commonest first; two queries."""
    counts = _count_visible(by)
    tasks: dict[str, dict[str, int]] = defaultdict(dict)
    for (task, base), n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        tasks[task][base] = n
    return dict(sorted(tasks.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def compare(by: Caller, task: str, base: Sequence[str] = (), sort: str = "score") -> Boards:
    """Return the boards of a task, each sorted by score, gain, size or date; a constant number of queries."""
    query = replace(_MEASURED, task=(task,), base=tuple(base), sort="score")
    page = catalog.search(by, query, limit=MOST, with_verdicts=False)
    groups: dict[tuple[object, ...], list[Standing]] = defaultdict(list)
    for standing in _standings(page.items):
        measured = standing.evaluation
        groups[measured.rows_sha256 or standing.repository.pk, measured.metric, measured.task].append(standing)
    shared = [_placed(group, sort) for group in groups.values() if len(group) > 1]
    alone = [standing for group in groups.values() if len(group) == 1 for standing in group]
    return Boards(
        [Board(group[0].evaluation, group) for group in sorted(shared, key=len, reverse=True)],
        _sorted(alone, "gain" if sort == "score" else sort),  # scores on different rows do not compare
        is_capped=bool(page.next),
    )


def _count_visible(by: Caller) -> Counter[tuple[str, str]]:
    if by.is_staff:
        return _count(catalog.matching_repositories(by, _MEASURED))
    public = caches["default"].get_or_set(KEY, _count_public, SECONDS) or []
    counts = Counter({(task, base): n for task, base, n in public})
    return counts + _count(tallies.beyond_public(by, _MEASURED)) if by.roles else counts


def _count_public() -> list[tuple[str, str, int]]:
    counts = _count(catalog.matching_repositories(NOBODY, _MEASURED))
    return [(task, base, n) for (task, base), n in counts.items()]


def _count(rows: QuerySet[Repository]) -> Counter[tuple[str, str]]:
    with bounded("count"):
        numbers = rows.exclude(task="").order_by().values_list("task", "base").annotate(n=Count("pk"))
        return Counter({(task, base): n for task, base, n in numbers})


def _standings(repositories: Sequence[Repository]) -> list[Standing]:
    """Return the places of adapters by the newest finished verdict of `verified`; one query for its metrics alone."""
    verdicts = verdicts_of_verified(repositories).values_list("revision__repository", "result__evals")
    evals = dict(verdicts.order_by("number"))
    found = []
    for repository in repositories:
        measured = deciding(Report.of_result({"evals": evals.get(repository.pk) or []}, Verdict.State.PASSED))
        if measured:
            found.append(Standing(repository, measured))
    return found


def _score(one: Standing) -> float:
    score = round(one.evaluation.adapter or 0.0, DIGITS)
    return score if one.evaluation.better == "lower" else -score


# By score or gain, the smallest, or the newest. The same weights may measure apart by the last digits of a float.
_KEYS: dict[str, Callable[[Standing], float]] = {
    "score": _score,
    "gain": lambda one: -round(one.gain, DIGITS),
    "size": lambda one: one.repository.size,
    "updated": lambda one: -one.repository.updated_at.timestamp(),
}


def _sorted(standings: list[Standing], sort: str) -> list[Standing]:
    """Return the best first; of equals the smallest, then the oldest. By date, equals stand as in the catalogue."""
    if sort == "updated":
        return sorted(standings, key=lambda one: (_KEYS[sort](one), -one.repository.pk))
    return sorted(standings, key=lambda one: (_KEYS[sort](one), one.repository.size, one.repository.pk))


def _placed(standings: list[Standing], sort: str) -> list[Standing]:
    """Return the best first with their places; equals share the first of theirs: 1, 1, 3."""
    ordered = _sorted(standings, sort)
    keys = [_KEYS[sort](standing) for standing in ordered]
    return [replace(standing, place=1 + keys.index(key)) for standing, key in zip(ordered, keys, strict=True)]
