"""Counts the bytes that a repository holds, in the transaction that changes its files, so that no push has to add up.

Each file counts once in a repository, in whatever number of its revisions, from the moment a revision names it, and
until the bin has it no more: `UploadedBlob.use` says which do, `Repository.stored_bytes` is their sum. Call these under
the repository's lock.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, Q, Sum

from registry.models import ExpiredFile, Namespace, Repository, RevisionFile, UploadedBlob
from registry.sql.prepared import Prepared, PreparedUpdate, insert_rows

Use = UploadedBlob.Use
BATCH = 500


def bytes_used(namespace: Namespace) -> int:
    """Return the bytes that all repositories of a namespace hold, those in the bin too.

    Bytes that were delivered and never pushed do not count, so a refused push uses no quota.
    """
    rows = _HELD(namespace.pk)
    return rows[0][1] if rows else 0


_HELD = Prepared(
    lambda namespace: (
        Repository.with_binned.filter(namespace=namespace)
        .order_by()
        .values("namespace")
        .annotate(held=Sum("stored_bytes"))
        .values_list("namespace", "held")
    ),
    int,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """The bytes and repositories that a namespace holds; the bin is part of each number."""

    bytes: int
    binned_bytes: int
    repositories: int


def totals(namespace: Namespace) -> Totals:
    """Return what all repositories of a namespace hold, those in the bin too."""
    return totals_of_each([namespace.pk]).get(namespace.pk, Totals(0, 0, 0))


def totals_of_each(namespaces: Iterable[int]) -> dict[int, Totals]:
    """Return the totals of namespaces by their row ids, in one query; one without repositories is left out."""
    in_bin = Sum("stored_bytes", filter=Q(binned_at__isnull=False))
    rows = Repository.with_binned.filter(namespace__in=namespaces).order_by().values("namespace")
    sums = rows.annotate(held=Sum("stored_bytes"), binned=in_bin, repositories=Count("pk"))
    columns = sums.values_list("namespace", "held", "binned", "repositories")
    return {namespace: Totals(held, binned or 0, count) for namespace, held, binned, count in columns}


def bytes_proposed(namespace: Namespace) -> int:
    """Return the bytes that only revisions of people name who may not write there."""
    rows = UploadedBlob.objects.filter(use=Use.PROPOSED, repository__namespace=namespace)
    return rows.aggregate(bytes=Sum("blob__size"))["bytes"] or 0


def unheld(repository: Repository, sizes: Mapping[str, int]) -> int:
    """Return how many bytes of these files (sha256 → size) the repository does not hold yet."""
    uses = _uses(repository, sizes)
    return sum(size for sha256, size in sizes.items() if sha256 not in uses)


def hold(repository: Repository, sizes: Mapping[str, int], *, is_proposal: bool = False) -> int:
    """Record that a revision names these files (sha256 → size), and that they were delivered for the repository.

    With `is_proposal` files that are new stay marked as proposed until somebody pushes them who may write there.
    Returns the bytes that are new here, which the caller adds: by `add`, or with other columns of the repository.
    """
    uses = _uses(repository, sizes)
    fresh = sizes.keys() - uses.keys()
    if is_proposal:
        _mark(repository, sorted(fresh), Use.PROPOSED)
    else:
        _mark(repository, sorted(sha256 for sha256 in sizes if uses.get(sha256) != Use.PUSHED), Use.PUSHED)
    return sum(sizes[sha256] for sha256 in fresh)


def add(repository: Repository, more: int) -> None:
    """Add bytes to what the repository holds."""
    if more:
        _ADD_STORED_BYTES(repository=repository.pk, more=more)


_ADD_STORED_BYTES = PreparedUpdate(
    lambda repository, more: (Repository.with_binned.filter(pk=repository), {"stored_bytes": F("stored_bytes") + more})
)


def recount(repository: Repository) -> int:
    """Recount a repository from its revisions, after some lost files; return by how much it was too low."""
    sizes: dict[str, int] = {}
    for model in (RevisionFile, ExpiredFile):
        files = model._default_manager.filter(revision__repository=repository).order_by()
        sizes |= dict(files.values_list("blob", "blob__size").distinct())
    rows = UploadedBlob.objects.filter(repository=repository)
    counted = set(rows.exclude(use=Use.DELIVERED).values_list("blob_id", flat=True))
    _mark(repository, sorted(counted - sizes.keys()), Use.DELIVERED)
    _mark(repository, sorted(sizes.keys() - counted), Use.PUSHED)
    row, total = Repository.with_binned.filter(pk=repository.pk), sum(sizes.values())
    before = row.values_list("stored_bytes", flat=True).get()
    if total != before:
        row.update(stored_bytes=total)
    return total - before


def recount_all(*, dry_run: bool = False) -> Iterator[tuple[Repository, int]]:
    """Recount every repository, one transaction each; yield those that were wrong, with the difference."""
    for pk in Repository.with_binned.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=BATCH):
        with transaction.atomic():
            rows = Repository.with_binned.select_for_update(of=("self",), no_key=True).select_related("namespace")
            repository = rows.filter(pk=pk).first()
            difference = recount(repository) if repository else 0
            transaction.set_rollback(dry_run)
        if repository and difference:
            yield repository, difference


def _uses(repository: Repository, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the use of those of these files that a revision of the repository names."""
    return dict(_USES(repository.pk, *sizes))


_USES = Prepared(
    lambda repository, *digests: (
        UploadedBlob.objects.filter(repository=repository, blob__in=digests)
        .exclude(use=Use.DELIVERED)
        .values_list("blob_id", "use")
    ),
    int,
    str,
)


def _mark(repository: Repository, digests: list[str], use: Use) -> None:
    rows = [UploadedBlob(repository=repository, blob_id=sha256, use=use) for sha256 in digests]
    insert_rows(rows, unique_fields=("repository", "blob"), update_fields=("use",))
