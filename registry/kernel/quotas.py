"""Limits: bytes of a file and of a push, and the quota of a person or an organisation."""

from collections.abc import Mapping

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from registry.kernel.errors import FileTooLarge, PushTooLarge, QuotaExceeded, ValueInvalid
from registry.models import Namespace, Repository, RevisionFile, UploadedBlob, User

GUESTS = 10  # pull requests of strangers may use one such part of the quota


def check_file(name: str, size: int, most: int | None = None) -> int:
    """Return the size of a file in bytes; `name` is its path or sha256, `most` a limit other than the hub's own.

    Raises FileTooLarge, and ValueInvalid for a negative size.
    """
    limit = settings.MAX_FILE_BYTES if most is None else most
    if size < 0:
        raise ValueInvalid(f"{name!r} cannot have {size} bytes.", fix="Send the file's size in bytes.")
    if size > limit:
        raise FileTooLarge(f"{name!r} has {size:,} bytes; the limit is {limit:,}.", limit=limit)
    return size


def check_push(total: int) -> None:
    """Raise PushTooLarge if the files of a push are too large together."""
    if total > settings.MAX_PUSH_BYTES:
        raise PushTooLarge(f"This push holds {total:,} bytes or more; the limit is {settings.MAX_PUSH_BYTES:,}.")


def check_daily_upload(by: User, sent: int) -> None:
    """Raise QuotaExceeded for a person who sent more bytes within a day than two quotas hold.

    Bytes that are delivered and never pushed count in no quota, and stay for days. Two quotas allow for retries.
    """
    most = 2 * settings.QUOTA_BYTES
    if most and sent > most:
        raise QuotaExceeded(f"{by.username} sent more than {most:,} bytes within a day.", fix="Go on tomorrow.")


def bytes_used(namespace: Namespace) -> int:
    """Return the bytes that the revisions of a namespace hold, each file of a repository counted once.

    Bytes that were delivered and never pushed do not count, so a refused push uses no quota.
    """
    return pushed_blobs(namespace).aggregate(bytes=Sum("blob__size"))["bytes"] or 0


def pushed_blobs(namespace: Namespace) -> QuerySet[UploadedBlob]:
    """Return a row for each blob of each repository of a namespace that a revision there names."""
    files = RevisionFile.objects.filter(revision__repository=OuterRef("repository"), blob=OuterRef("blob"))
    return UploadedBlob.objects.filter(Exists(files), repository__namespace=namespace)


def _proposed(namespace: Namespace) -> int:
    """Return the bytes that only revisions of strangers name."""
    members = User.objects.filter(Q(namespace=namespace) | Q(memberships__organization__namespace=namespace))
    same = {"revision__repository": OuterRef("repository"), "blob": OuterRef("blob")}
    own = RevisionFile.objects.filter(**same, revision__author__in=members)
    return pushed_blobs(namespace).filter(~Exists(own)).aggregate(bytes=Sum("blob__size"))["bytes"] or 0


def require_repository_quota(namespace: Namespace) -> None:
    """Raise QuotaExceeded if there are too many repositories; call it after writing the row of the new one."""
    limit = settings.QUOTA_REPOSITORIES
    if limit or settings.QUOTA_BYTES:  # a repository that moves in brings bytes as well
        _hold(namespace)
    if limit and Repository.objects.filter(namespace=namespace).count() > limit:
        raise QuotaExceeded(f"{namespace.name} has {limit:,} repositories, and may not have more.")


def require_byte_quota(repository: Repository, more: int) -> None:
    """Raise QuotaExceeded unless the quota allows this many more bytes in the namespace; 0 checks the present use."""
    if not settings.QUOTA_BYTES:
        return
    used, limit = bytes_used(repository.namespace), settings.QUOTA_BYTES
    if used + more > limit:
        raise QuotaExceeded(
            f"{repository.namespace.name} holds {used:,} bytes of {limit:,}; {more:,} more have no room."
        )


def require_byte_quota_for(repository: Repository, sizes: Mapping[str, int], *, is_guest: bool = False) -> None:
    """Check the quota for files by their sha256, in the transaction that writes them; known files use no more of it.

    Guests, who may propose but not write there, share a tenth of the quota: the rest is left to the owner.
    """
    if settings.QUOTA_BYTES:
        _hold(repository.namespace)
        files = RevisionFile.objects.filter(revision__repository=repository, blob__in=sizes)
        known_blobs = set(files.values_list("blob_id", flat=True))
        if more := sum(size for sha256, size in sizes.items() if sha256 not in known_blobs):
            require_byte_quota(repository, more)
            if is_guest and _proposed(repository.namespace) + more > settings.QUOTA_BYTES // GUESTS:
                raise QuotaExceeded(f"Proposals to {repository.namespace.name} hold as much as they may together.")


def _hold(namespace: Namespace) -> None:
    # Two pushes to two repositories of one owner must not both use the rest of the quota. NO KEY, because a plain FOR
    # UPDATE waits for transactions that have written a row pointing here, and they may be waiting for us.
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
