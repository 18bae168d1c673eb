"""Find revisions by the digests of their files, or of the tensors in them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min, QuerySet

from dovetail.adapters.checks.privacy import TRAINING_STATE
from registry.kernel.capacity import bounded
from registry.kernel.policy import Caller
from registry.models import Repository, RevisionFile, TensorDigest
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
