"""Find revisions by the digests of their files or tensors: copies, and yanked revisions with those of another one.

Nothing is refused for either. A yank may be about a card or a config, so its reason is shown, and readers decide.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Max, Min, Q, QuerySet, Subquery

from dovetail.adapters.checks.privacy import TRAINING_STATE
from registry.kernel import seams
from registry.kernel.capacity import bounded
from registry.kernel.policy import Caller
from registry.models import Repository, Revision, RevisionFile, TensorDigest
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_PLACES = 1000  # of all digests together
MAX_FILES = 1000  # that hold the tensors of the digests
MAX_WEIGHTS = 20  # files of one revision that are looked for elsewhere
ENDINGS = (".safetensors", ".bin", ".pt", ".gguf")

Since = tuple[datetime, int]  # the time by this hub's clock, and the row of the revision: no two are equal


@dataclass(frozen=True, slots=True)
class Place:
    """One path of one revision that holds what a digest names."""

    digest: str
    file: RevisionFile


def places_of_files(digests: Iterable[str], by: Caller) -> list[Place]:
    """Return where the caller may see files of these sha256, the newest first, at most MAX_PLACES + 1; one query."""
    return [Place(row.blob_id, row) for row in _rows(set(digests), by)]


def places_of_tensors(digests: Iterable[str], by: Caller) -> list[Place]:
    """Return where the caller may see files whose tensors have these digests, as above; two queries."""
    known = TensorDigest.objects.filter(sha256__in=set(digests) - {""}).order_by("file")
    tensors = dict(known.values_list("file", "sha256")[:MAX_FILES])
    return [Place(tensors[row.blob_id] or "", row) for row in _rows(set(tensors), by)]


def weight_files(entries: Mapping[str, Entry]) -> list[Entry]:
    """Return the weights among these files by path, at most MAX_WEIGHTS; the state of a training is none."""
    weights = [path for path in sorted(entries) if path.endswith(ENDINGS)]
    return [entries[path] for path in weights if path.rpartition("/")[2] not in TRAINING_STATE][:MAX_WEIGHTS]


def first_places(repositories: Iterable[int], files: Iterable[str]) -> list[tuple[int, str, Since]]:
    """Return since when these repositories hold each of these files (sha256); one query.

    Times are this hub's own: nobody who pushes can choose them. Rewritten and copied commits keep theirs, and of two
    commits of one time the row that was written first is the older.
    """
    rows = RevisionFile.objects.filter(revision__repository__in=set(repositories), blob__in=set(files))
    times = rows.order_by().values_list("revision__repository", "blob")
    first = times.annotate(Min("revision__created_at"), Min("revision"))
    return [(repository, file, (at, row)) for repository, file, at, row in first]


def equal_files(files: Iterable[str]) -> dict[str, str]:
    """Return the files with the same tensors as these (sha256 → the one of these), themselves too; one query."""
    files = set(files)
    tensors = dict(alike(files))
    own = {tensors[file]: file for file in files & tensors.keys()}
    return {file: own[digest] for file, digest in tensors.items() if digest in own} | {file: file for file in files}


def alike(files: Collection[str]) -> "QuerySet[TensorDigest, tuple[str, str | None]]":
    """Return (file, digest of its tensors) of the files that hold the tensors of one of these (sha256)."""
    same = TensorDigest.objects.filter(file__in=files, sha256__gt="").values("sha256")
    return TensorDigest.objects.filter(sha256__in=same).order_by("file").values_list("file", "sha256")[:MAX_FILES]


def newest_places(files: Iterable[str], besides: Repository, by: Caller) -> list[RevisionFile]:
    """Return of each of these files (sha256) its newest place in each other repository that the caller may see.

    At most MAX_PLACES, the newest first; two queries.
    """
    rows = pull.listable(by).filter(blob__in=set(files)).exclude(revision__repository=besides)
    newest = rows.values("revision__repository", "blob").annotate(newest=Max("pk")).order_by("-newest")
    places = RevisionFile.objects.filter(pk__in=[row["newest"] for row in newest[:MAX_PLACES]])
    return list(places.select_related("revision__repository__namespace").order_by("-pk"))


def places_of_prefix(prefix: str, by: Caller, limit: int) -> list[RevisionFile]:
    """Return files whose sha256 begins with these hex digits, each in its newest place in each repository; one query.

    Of the newest MAX_PLACES places that the caller may see.
    """
    beginning = pull.listable(by).filter(blob__gte=prefix, blob__lt=f"{prefix}g")
    rows = beginning.select_related("revision__repository__namespace").order_by("-pk")
    newest: dict[tuple[int, str], RevisionFile] = {}
    with bounded("search"):
        for row in rows[:MAX_PLACES]:
            newest.setdefault((row.revision.repository_id, row.blob_id), row)
    return list(newest.values())[:limit]


def _rows(blobs: set[str], by: Caller) -> list[RevisionFile]:
    rows = pull.listable(by).filter(blob__in=blobs).select_related("revision__repository__namespace")
    return list(rows.order_by("-revision", "path")[: MAX_PLACES + 1])


MAX_RELATIVES = 10


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A weight file of a revision, and the place of the same weights in a yanked one."""

    path: str
    place: RevisionFile

    @property
    def revision(self) -> Revision:
        """The yanked revision."""
        return self.place.revision


def find_withdrawn(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> Withdrawn | None:
    """Return the last yanked revision that the caller may see and whose weights this one holds.

    Two queries where there is none, as of most, and three where there is one.

    Weights are the same with the same bytes or the same tensors. The yanked revision is of the same owner, or older
    than these weights are in this repository: else strangers could copy weights, yank the copy, and have their reason
    shown on the page of the original. None for a revision that is yanked itself.
    """
    paths = {entry.sha256: entry.path for entry in weight_files(entries)}
    if revision.is_yanked or not paths:
        return None
    equal, repository = equal_files(paths), revision.repository
    if not RevisionFile.objects.filter(blob__in=equal, revision__yanked_at__isnull=False).exists():
        return None
    here = RevisionFile.objects.filter(blob__in=equal, revision__repository=repository)
    oldest = here.order_by("revision__created_at", "revision")
    since, first = (Subquery(oldest.values(column)[:1]) for column in ("revision__created_at", "revision"))
    is_older = Q(revision__created_at__lt=since) | Q(revision__created_at=since, revision__lt=first)  # whole seconds
    may_say = Q(revision__repository__namespace=repository.namespace_id) | is_older
    yanked = (
        pull.listable(by).filter(may_say, blob__in=equal, revision__yanked_at__isnull=False).exclude(revision=revision)
    )
    place = yanked.select_related("revision__repository__namespace").order_by("-revision__yanked_at", "path").first()
    return Withdrawn(paths[equal[place.blob_id]], place) if place else None


@dataclass(frozen=True, slots=True)
class Relative:
    """The newest revision of another repository that holds nearly the same weights.

    `cosine` is 1 for the same file; it has no sign, and a module that is elsewhere counts as 0 in it. Of files behind a
    gate that the caller has not passed it is rounded down to tenths, by which nobody can find out their weights step by
    step.
    """

    place: RevisionFile
    cosine: float
    is_copy: bool  # the same weights, perhaps under another scale, dtype, names or factors
    is_part: bool = False  # the smaller file's modules are in the other, perhaps mixed with others
    is_original: bool = False  # of a copy: they were pushed there first

    @property
    def revision(self) -> Revision:
        return self.place.revision


def relatives_of_files(weights: Iterable[Entry], besides: Repository, by: Caller) -> Sequence[Relative]:
    """Return other repositories that hold these weights; nearly these, where a feature has measured them.

    At most MAX_RELATIVES, each of another repository.
    """
    files = {entry.path: entry.sha256 for entry in weights}
    for feature in seams.joined():
        if (measured := feature.relatives(files, besides, by)) is not None:
            return measured
    places: dict[int, RevisionFile] = {}
    for place in newest_places(files.values(), besides, by):
        places.setdefault(place.revision.repository_id, place)
    copies = [Relative(place, 1.0, is_copy=True) for place in list(places.values())[:MAX_RELATIVES]]
    return with_originals(copies, files.values(), besides)


def with_originals(relatives: list[Relative], own: Iterable[str], besides: Repository) -> list[Relative]:
    """Mark the copies that their repository held before `besides` held these files (sha256); one query."""
    copies = {one.revision.repository_id: one.place.blob_id for one in relatives if one.is_copy}
    if not copies:
        return relatives
    sought = set(copies.items()) | {(besides.pk, file) for file in own}
    first: dict[int, Since] = {}
    for repository, file, since in first_places({pk for pk, _ in sought}, {file for _, file in sought}):
        if (repository, file) in sought:
            first[repository] = min(first.get(repository, since), since)

    def is_original(one: Relative) -> bool:
        there, here = first.get(one.revision.repository_id), first.get(besides.pk)
        return one.is_copy and there is not None and here is not None and there < here

    return [replace(one, is_original=is_original(one)) for one in relatives]
