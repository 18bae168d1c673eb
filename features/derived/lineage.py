"""The lineage of a repository: what its versions were made from, what was made from them, and who names it.

Only what the caller finds in lists, in a constant number of queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, Max, OuterRef, Q

from features.derived.models import DerivedSource, DerivedVersion
from registry.kernel import seams
from registry.kernel.policy import Caller, listed_to
from registry.kernel.texts.cursors import Page
from registry.models import Repository
from registry.repos import bases, digests
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query, SearchPage
from registry.repos.manifest import Entry

MAX_DEPTH = 3  # steps from the repository
MOST = 20  # of one kind at each step
MAX_BASES = 4
TAGS = {"model": "base_model", "dataset": "dataset"}  # by which cards name a repository of this type
SOURCE, RESULT = "revision__repository", "derived__repository"  # as columns of DerivedSource


@dataclass(frozen=True, slots=True)
class Step:
    """The newest version of `result` that the hub made of versions of `source`, with its method."""

    source: Repository
    result: Repository
    method: str


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps in one direction, those next to the repository first; `left_out` more found no room."""

    items: Sequence[Step]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class NamedBase:
    """A base as the repository names it, its id here, and the repository of that name if the caller sees one."""

    name: str
    id: str
    repository: Repository | None


def made_from(repository: Repository, by: Caller) -> Steps:
    """Return the steps that lead to a repository."""
    return _steps(repository, RESULT, SOURCE, by)


def made_of_it(repository: Repository, by: Caller) -> Steps:
    """Return the steps that begin at a repository."""
    return _steps(repository, SOURCE, RESULT, by)


def other_forms(repository: Repository) -> list[DerivedVersion]:
    """Return the newest version of each form that the repository holds of its own versions, newest first."""
    own = DerivedSource.objects.filter(**{SOURCE: repository, RESULT: repository}, **_SHOWN)
    newest = own.order_by().values("derived__ref").annotate(newest=Max("derived")).order_by("-newest")
    found = DerivedVersion.objects.filter(pk__in=[row["newest"] for row in newest[:MOST]])
    return list(found.select_related("revision").order_by("-pk"))


def named_bases(names: Sequence[str], by: Caller) -> list[NamedBase]:
    """Return the first bases of a repository; four queries."""
    names = names[:MAX_BASES]
    ids, condition = bases.canonical_names(names), Q(pk__in=[])
    for name in names:
        owner, _, rest = name.lower().partition("/")
        condition |= Q(namespace__name__lower=owner, name__lower=rest)
    listed = Repository.objects.filter(listed_to(by), condition, type=Repository.Type.MODEL)
    here = {row.full_name.lower(): row for row in listed.select_related("namespace")} if names else {}
    return [NamedBase(name, ids[name], here.get(name.lower())) for name in names]


def named_by(repository: Repository, by: Caller) -> SearchPage:
    """Return the newest adapters and models whose cards name a repository as their base, or as data."""
    tag = TAGS.get(repository.type)
    if tag is None:
        return SearchPage([])
    query = Query(all_tags=(f"{tag}:{repository.full_name}",))
    return catalog.search(by, query, limit=MOST, with_verdicts=False)


_SHOWN = {
    "derived__state": DerivedVersion.State.DONE,
    "derived__revision__isnull": False,
    "derived__revision__quarantined_at__isnull": True,
    "revision__quarantined_at__isnull": True,
}


def _steps(root: Repository, near: str, far: str, by: Caller) -> Steps:
    """Walk from `near` to `far`, one query a step, and one for all repositories; each of them is met once."""
    listed = Exists(Repository.objects.filter(listed_to(by), pk=OuterRef(far)))
    rows = DerivedSource.objects.filter(listed, **_SHOWN).exclude(**{near: F(far)}).order_by()
    found: list[dict[str, int]] = []
    met, frontier, left_out = {root.pk}, [root.pk], 0
    for _ in range(MAX_DEPTH):
        step = rows.filter(**{f"{near}__in": frontier}).exclude(**{f"{far}__in": met})
        newest = list(step.values(near, far).annotate(newest=Max("derived")).order_by("-newest")[: MOST + 1])
        kept: dict[int, dict[str, int]] = {}
        for row in newest[:MOST]:
            kept.setdefault(row[far], row)
        if len(newest) > MOST:
            left_out += step.values(far).distinct().count() - len(kept)
        frontier = list(kept)
        met |= kept.keys()
        found += kept.values()
        if not frontier:
            break
    known = Repository.objects.select_related("namespace").in_bulk(met)
    methods = dict(DerivedVersion.objects.filter(pk__in={row["newest"] for row in found}).values_list("pk", "method"))
    steps = [
        Step(known[row[SOURCE]], known[row[RESULT]], methods[row["newest"]])
        for row in found
        if {row[SOURCE], row[RESULT]} <= known.keys() and row["newest"] in methods  # others are deleted meanwhile
    ]
    return Steps(steps, left_out)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that a repository was made from, that was made of it, and that holds or names it, as a caller sees it.

    Each list is bounded; pages have a `next` where more was found.
    """

    bases: Sequence[NamedBase]
    made_from: Steps
    made_of_it: Steps
    other_forms: Sequence[DerivedVersion]
    copies: Sequence[digests.Relative]
    named_by: SearchPage
    lists: Page[Any]


def read(repository: Repository, entries: Mapping[str, Entry], stated: Sequence[str], by: Caller) -> Lineage:
    """Return the lineage of a repository whose main has these files and states these bases; its queries do not grow."""
    return Lineage(
        named_bases(stated, by),
        made_from(repository, by),
        made_of_it(repository, by),
        other_forms(repository),
        digests.relatives_of_files(digests.weight_files(entries), repository, by),
        named_by(repository, by),
        seams.lists_with(repository, by, limit=MOST),
    )
