"""Leaderboards of a task: verified adapters that were measured on the same rows, beside each other. Only reads.

Each adapter stands there with its best version. The same weights have one line in each table: of the repository that
held them first, among those that the caller sees.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from django.core.cache import caches
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum, Window
from django.db.models.functions import DenseRank

from dovetail.adapters.checks.privacy import TRAINING_STATE
from dovetail.adapters.formats.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.results.report import Evaluation, Report
from registry.kernel.capacity import bounded
from registry.kernel.policy import NOBODY, Caller
from registry.models import Ref, Repository, Revision, RevisionFile, Verdict
from registry.proof.reports import deciding, gain_of, start_of
from registry.proof.verified import regression_rule, regressions
from registry.proof.verified.verified import served_by
from registry.repos import digests, eligibility
from registry.repos.lists import catalog, tallies
from registry.repos.refs import VERIFIED

NEWEST = 20  # versions of an adapter with a verdict that are looked at, beside `verified`
OWN_ROWS = "smoke"  # the name of rows from a repository's own file, in a verdict
DIGITS = 6  # of numbers that make places
WITHOUT_BOARD = 3  # so many tasks and bases are looked at for each board: not all have one
_READ = ("evals", "path", "kind", "serving")  # of a report


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an adapter that is `verified`, or may be, with the metric that decides."""

    revision: Revision
    evaluation: Evaluation
    base: str
    kind: str
    folder: str  # of the adapter that was measured
    engines: Sequence[str]  # that serve it
    is_verified: bool
    size: int = 0  # of its files in bytes

    @property
    def compared_as(self) -> tuple[object, ...]:
        """The key that two versions share if their numbers may be set against each other."""
        measured = self.evaluation
        return measured.rows_sha256 or self.revision.repository_id, measured.metric, measured.task

    @property
    def score(self) -> float:
        """The number that was measured; less is better, whatever the metric."""
        score = round(self.evaluation.adapter or 0.0, DIGITS)
        return score if self.evaluation.better == "lower" else -score


def best_versions(repositories: Sequence[Repository]) -> dict[int, Version]:
    """Return the best version of each repository that has a measured `verified` one, by row id; three queries."""
    verified: dict[int, Version] = {}
    others: dict[int, list[Version]] = defaultdict(list)
    for version in _measured(repositories):
        if version.is_verified:
            verified[version.revision.repository_id] = version
        else:
            others[version.revision.repository_id].append(version)
    better = {pk: [one for one in others[pk] if _is_better(one, than)] for pk, than in verified.items()}
    before = _versions_before([verified[pk].revision for pk, versions in better.items() if versions])
    best = {
        pk: min([than, *(one for one in better[pk] if one.revision.pk in before)], key=lambda one: one.score)
        for pk, than in verified.items()
    }
    rows = Revision.objects.filter(pk__in=[version.revision.pk for version in best.values()])
    sizes = dict(rows.annotate(bytes=Sum("files__size")).values_list("pk", "bytes"))
    return {pk: replace(version, size=sizes[version.revision.pk] or 0) for pk, version in best.items()}


def split_name(name: str) -> tuple[str, str]:
    """Split the name of an evaluation: a folder only where several adapters were measured; a set is namespace/name."""
    parts = name.split("/")
    count = 1 if parts[-1] in (OWN_ROWS, eligibility.NEUTRAL) else 2
    return "/".join(parts[:-count]), "/".join(parts[-count:])


def _measured(repositories: Sequence[Repository]) -> Iterable[Version]:
    decided = Verdict.objects.filter(revision__repository__in=repositories, state__in=Verdict.DECIDED)
    age = Window(DenseRank(), partition_by="revision__repository", order_by="-revision")
    newest = decided.annotate(age=age).filter(age__lte=NEWEST).values("pk")
    verified = Ref.objects.filter(name=VERIFIED, repository__in=repositories)
    rows = (
        decided.filter(Q(pk__in=newest) | Q(revision__in=verified.values("revision")))
        .annotate(is_verified=Exists(verified.filter(revision=OuterRef("revision"))))
        .annotate(**{name: F(f"result__{name}") for name in _READ})
        .select_related("revision__regression")
        .defer("result")
        .order_by("number")
    )
    for verdict in {verdict.revision_id: verdict for verdict in rows}.values():  # the last one of each revision
        read = {name: value for name in _READ if (value := getattr(verdict, name))}
        report = Report.of_result(read, verdict.state)
        measured = deciding(report)
        if measured and (verdict.is_verified or _may_be_verified(verdict)):
            folder = split_name(measured.name)[0] or report.path
            engines = served_by(report).split()
            yield Version(verdict.revision, measured, verdict.base, report.kind, folder, engines, verdict.is_verified)


def _may_be_verified(verdict: Verdict) -> bool:
    if verdict.eligibility == Verdict.Eligibility.UNJUDGED:
        return False  # of an earlier release: the sweep will judge it
    return eligibility.of_verdict(verdict, verdict.revision, getattr(verdict.revision, "regression", None)).may


def _is_better(one: Version, than: Version) -> bool:
    is_comparable = (one.compared_as, one.base) == (than.compared_as, than.base) and than.evaluation.rows_sha256
    return bool(is_comparable) and one.score < than.score


def _versions_before(revisions: Sequence[Revision]) -> set[int]:
    """Return the row ids of all revisions before these, also in histories that were squashed; one query."""
    if not revisions:
        return set()
    rows = Revision.objects.filter(repository__in=[revision.repository_id for revision in revisions])
    parents = {pk: parent or replaced for pk, parent, replaced in rows.values_list("pk", "parent", "replaces")}
    before: set[int] = set()
    for revision in revisions:
        at = parents[revision.pk]
        while at is not None:
            before.add(at)
            at = parents[at]
    return before


MOST = catalog.MAX_PAGE  # adapters of a task that are compared: those with the greatest gain
SORTS = ("score", "gain", "size", "updated")
KEY = "measured"  # of the counts in the shared cache
SECONDS = 50  # of a cached count; what is held back is in no answer after a minute
_DATA = "dataset:"  # tags by the data sets that a card names
_MEASURED = catalog.Query(only_measured=True)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of an adapter: the digest of their tensors, else of their file, and since when they are there."""

    digest: str
    since: digests.Since


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of an adapter by its best version."""

    repository: Repository
    version: Version
    weights: Weights | None = None  # None for files that hold none by their names
    place: int = 0  # in its table, from 1; adapters with the same number share one. 0 where places mean nothing
    copies: Sequence[Repository] = ()  # that hold the same weights since later and would stand in the same table

    @property
    def evaluation(self) -> Evaluation:
        """The deciding metric of the version."""
        return self.version.evaluation

    @property
    def rank(self) -> int | None:
        """The rank of the version; None if it is not known, as of those before `verified`."""
        return self.repository.rank if self.version.is_verified else None

    @property
    def named(self) -> str:
        """The revision as its address names it: `verified`, or the commit id of a version before that."""
        return "verified" if self.version.is_verified else self.version.revision.oid

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
    """Adapters that one metric compares on the same rows; `measured` says which ones, as that of the first does.

    `rows_of` is what people know the rows by: the data set that they are of, or that the card of the oldest adapter
    here names, else the name of their file; "" for the built-in samples. Another board of `has_namesakes` has the same
    `rows_of`, metric and number of rows.
    """

    measured: Evaluation
    standings: Sequence[Standing]
    rows_of: str
    oldest: Repository
    has_namesakes: bool = False

    @property
    def is_of_own_rows(self) -> bool:
        """Return whether nobody names a data set: the rows are known by the adapter that brought them."""
        return self.rows_of == regressions.NAME

    @property
    def best(self) -> Standing:
        """The standing with the best score, in whatever order they are."""
        return min(self.standings, key=_KEYS["score"])

    def place(self, standing: Standing) -> tuple[int, bool]:
        """Return the place of a standing by its score, in whatever order they are, and whether others share it."""
        scores = [one.version.score for one in self.standings]
        return 1 + sum(score < standing.version.score for score in scores), scores.count(standing.version.score) > 1

    def is_near(self, standing: Standing) -> bool:
        """Return whether chance explains the distance of a standing from the best one.

        By the paired test of rows that are right or wrong, else where their intervals meet: other tests take seconds.
        """
        one, best = standing.evaluation, self.best.evaluation
        is_plain = not (one.weights or best.weights) and {*(one.scores or ()), *(best.scores or ())} <= {0.0, 1.0}
        if is_plain and (judged := regression_rule.judge(one, best)):
            return judged.outcome != regression_rule.Outcome.WORSE
        if not one.interval or not best.interval:
            return False
        return max(one.interval[0], best.interval[0]) <= min(one.interval[1], best.interval[1])


@dataclass(frozen=True, slots=True)
class Boards:
    """The boards of a task, the longest first; `alone` are on rows that nothing else here was measured on."""

    boards: Sequence[Board]
    alone: Sequence[Standing]
    is_capped: bool

    def __bool__(self) -> bool:
        return bool(self.boards or self.alone)


@dataclass(frozen=True, slots=True)
class BestBoard:
    """The longest board of a task on one base."""

    task: str
    base: str
    board: Board


def count_measured(by: Caller) -> dict[str, dict[str, int]]:
    """Return task → base → number of measured adapters that the caller may see, the commonest first; two queries."""
    counts = _count_visible(by)
    tasks: dict[str, dict[str, int]] = defaultdict(dict)
    for (task, base), n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        tasks[task][base] = n
    return dict(sorted(tasks.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def compare(by: Caller, task: str, base: Sequence[str] = (), sort: str = "score") -> Boards:
    """Return the boards of a task, each sorted by score, gain, size or date; a constant number of queries.

    Of the bases of these ids alone, if there are any.
    """
    query = replace(_MEASURED, task=(task,), base=tuple(base), has_known_bases=True, sort="score")
    page = catalog.search(by, query, limit=MOST, with_verdicts=False)
    boards, alone = _boards(_standings(page.items), sort)
    return Boards(
        boards,
        _sorted(alone, "gain" if sort == "score" else sort),  # scores on different rows do not compare
        is_capped=bool(page.next),
    )


def best_boards(by: Caller, limit: int = 3, task: str = "") -> list[BestBoard]:
    """Return the longest board of each of the commonest tasks and bases; a constant number of queries.

    Of one task alone if it is named.
    """
    counts = sorted(_count_visible(by).items(), key=lambda item: (-item[1], item[0]))
    pairs = [pair for pair, n in counts if n > 1 and pair[1] and task in ("", pair[0])][: limit * WITHOUT_BOARD]
    if not pairs:
        return []
    tasks, bases = map(sorted, map(set, zip(*pairs, strict=True)))
    query = replace(_MEASURED, task=tasks, base=bases, has_known_bases=True, sort="score")
    standings = defaultdict(list)
    for standing in _standings(catalog.search(by, query, limit=MOST, with_verdicts=False).items):
        standings[standing.repository.task, standing.repository.base].append(standing)
    boards = [(pair, _boards(standings[pair], "score")[0]) for pair in pairs]
    return [BestBoard(*pair, of_pair[0]) for pair, of_pair in boards if of_pair][:limit]


def _boards(standings: Iterable[Standing], sort: str) -> tuple[list[Board], list[Standing]]:
    """Return the boards, the longest first, and the standings on rows that nothing else was measured on."""
    groups: dict[tuple[object, ...], list[Standing]] = defaultdict(list)
    for standing in standings:
        groups[standing.version.compared_as].append(standing)
    tables = [_one_of_each_weights(group) for group in groups.values()]
    shared = sorted((_placed(table, sort) for table in tables if len(table) > 1), key=len, reverse=True)
    alone = [standing for table in tables if len(table) == 1 for standing in table]
    return _told_apart([_board(table) for table in shared]), _one_of_each_weights(alone)


def _one_of_each_weights(standings: Sequence[Standing]) -> list[Standing]:
    of_weights: dict[object, list[Standing]] = defaultdict(list)
    for standing in sorted(standings, key=_age):
        of_weights[standing.weights.digest if standing.weights else standing.repository.pk].append(standing)
    return [
        replace(first, copies=[*first.copies, *(copy for one in later for copy in (one.repository, *one.copies))])
        for first, *later in of_weights.values()
    ]


def _age(standing: Standing) -> digests.Since:
    return standing.weights.since if standing.weights else (standing.repository.created_at, standing.repository.pk)


def _board(standings: Sequence[Standing]) -> Board:
    measured = standings[0].evaluation
    oldest = min(standings, key=_age).repository
    _, rows = split_name(measured.name)
    if rows == OWN_ROWS:
        named = (tag.removeprefix(_DATA) for tag in oldest.tags if tag.startswith(_DATA))
        rows_of = next(named, regressions.NAME)
    else:
        rows_of = "" if rows == eligibility.NEUTRAL else rows.partition("@")[0]
    return Board(measured, standings, rows_of, oldest)


def _told_apart(boards: Sequence[Board]) -> list[Board]:
    """Return the boards with those marked that have the same name."""

    def name(board: Board) -> tuple[object, ...]:
        return board.rows_of.lower(), board.measured.metric.lower(), board.measured.rows

    counts = Counter(map(name, boards))
    return [replace(one, has_namesakes=counts[name(one)] > 1) for one in boards]


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
    """Return the places of adapters by their best versions; six queries."""
    versions = best_versions(repositories)
    weights = _weights_in({version.revision.pk: version.folder for version in versions.values()})
    return [
        Standing(repository, version, weights.get(version.revision.pk))
        for repository in repositories
        if (version := versions.get(repository.pk))
    ]


def _weights_in(folders: Mapping[int, str]) -> dict[int, Weights]:
    """Return the weights in this folder of each revision (id → folder, or file), those that an engine reads first.

    `since` is when their repository first held these tensors, perhaps in another file; three queries.
    """
    endings = reduce(or_, (Q(path__endswith=end) for end in digests.ENDINGS))
    rows = RevisionFile.objects.filter(endings, revision__in=folders).select_related("revision")
    read: dict[int, RevisionFile] = {}
    for row in rows.only("path", "blob", "size", "revision__repository").order_by("pk"):
        folder, _, name = row.path.rpartition("/")
        if folders[row.revision_id] in (folder, row.path) and name not in TRAINING_STATE:
            read[row.revision_id] = min(read.get(row.revision_id, row), row, key=_order)
    files = {row.blob_id for row in read.values()}
    tensors = digests.alike(files)
    alike = {file: file for file in files} | {file: digest for file, digest in tensors if digest}
    first: dict[tuple[int, str], digests.Since] = {}
    for repository, file, since in digests.first_places((row.revision.repository_id for row in read.values()), alike):
        held = repository, alike[file]
        first[held] = min(first.get(held, since), since)
    weights = {revision: (row.revision.repository_id, alike[row.blob_id]) for revision, row in read.items()}
    return {revision: Weights(held[1], first[held]) for revision, held in weights.items()}


def _order(row: RevisionFile) -> tuple[bool, bool, int]:
    name = row.path.rpartition("/")[2]
    return name != WEIGHTS, name != PICKLED_WEIGHTS, -row.size


# By score or gain, the smallest, or the newest. The same weights may measure apart by the last digits of a float.
_KEYS: dict[str, Callable[[Standing], float]] = {
    "score": lambda one: one.version.score,
    "gain": lambda one: -round(one.gain, DIGITS),
    "size": lambda one: one.version.size,
    "updated": lambda one: -one.repository.updated_at.timestamp(),
}


def _sorted(standings: list[Standing], sort: str) -> list[Standing]:
    """Return the best first; of equals the smallest, then the oldest. By date, equals stand as in the catalogue."""
    if sort == "updated":
        return sorted(standings, key=lambda one: (_KEYS[sort](one), -one.repository.pk))
    return sorted(standings, key=lambda one: (_KEYS[sort](one), one.version.size, one.repository.pk))


def _placed(standings: list[Standing], sort: str) -> list[Standing]:
    """Return the best first with their places; equals share the first of theirs: 1, 1, 3."""
    ordered = _sorted(standings, sort)
    keys = [_KEYS[sort](standing) for standing in ordered]
    return [replace(standing, place=1 + keys.index(key)) for standing, key in zip(ordered, keys, strict=True)]
