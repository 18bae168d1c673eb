"""How much there may be: bytes of a file and of a push, and the room that a person or an organisation has."""

from collections.abc import Mapping

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Sum

from registry.kernel.errors import FileTooLarge, PushTooLarge, QuotaExceeded, ValueInvalid
from registry.models import Namespace, Repository, RevisionFile, UploadedBlob, User

GUESTS = 10  # what strangers propose may take one of so many parts of the room


def check_file(name: str, size: int, most: int | None = None) -> int:
    """Return the bytes of a file, known by its path or its sha256; `most` is a limit other than the hub's own.

    Raises FileTooLarge, and ValueInvalid for a size that is none.
    """
    limit = settings.MAX_FILE_BYTES if most is None else most
    if size < 0:
        raise ValueInvalid(f"{name!r} cannot have {size} bytes.", fix="Send the file's size in bytes.")
    if size > limit:
        raise FileTooLarge(f"{name!r} has {size:,} bytes; the limit is {limit:,}.", limit=limit)
    return size


def check_push(total: int) -> None:
    """Raise PushTooLarge for files that are larger together than one push may be."""
    if total > settings.MAX_PUSH_BYTES:
        raise PushTooLarge(f"This push holds {total:,} bytes or more; the limit is {settings.MAX_PUSH_BYTES:,}.")


def check_daily_upload(by: User, sent: int) -> None:
    """Raise QuotaExceeded for somebody who sent more bytes within a day than two quotas hold.

    What is delivered and never pushed counts in no quota, and stays for days. Twice, since what fails is sent again.
    """
    most = 2 * settings.QUOTA_BYTES
    if most and sent > most:
        raise QuotaExceeded(f"{by.username} sent more than {most:,} bytes within a day.", fix="Go on tomorrow.")


def bytes_used(namespace: Namespace) -> int:
    """Return the bytes that the revisions of a namespace hold, each file of a repository counted once.

    What was delivered and never pushed does not count: a push that was refused takes no room.
    """
    named = RevisionFile.objects.filter(revision__repository=OuterRef("repository"), blob=OuterRef("blob"))
    held = UploadedBlob.objects.filter(Exists(named), repository__namespace=namespace).aggregate(
        bytes=Sum("blob__size")
    )
    return held["bytes"] or 0


def _proposed(namespace: Namespace) -> int:
    """Return the bytes that stand there by strangers' revisions alone."""
    members = User.objects.filter(Q(namespace=namespace) | Q(memberships__organization__namespace=namespace))
    named = RevisionFile.objects.filter(revision__repository=OuterRef("repository"), blob=OuterRef("blob"))
    own = named.filter(revision__author__in=members)
    held = UploadedBlob.objects.filter(Exists(named), ~Exists(own), repository__namespace=namespace)
    return held.aggregate(bytes=Sum("blob__size"))["bytes"] or 0


def require_repository_quota(namespace: Namespace) -> None:
    """Raise QuotaExceeded if there are too many repositories; call it when the new one's row is written."""
    limit = settings.QUOTA_REPOSITORIES
    if limit or settings.QUOTA_BYTES:  # a repository that moves in brings bytes as well
        _hold(namespace)
    if limit and Repository.objects.filter(namespace=namespace).count() > limit:
        raise QuotaExceeded(f"{namespace.name} has {limit:,} repositories, and may not have more.")


def require_byte_quota(repository: Repository, more: int) -> None:
    """Raise QuotaExceeded unless this many more bytes have room in the namespace; 0 asks for what is there."""
    if not settings.QUOTA_BYTES:
        return
    taken, limit = bytes_used(repository.namespace), settings.QUOTA_BYTES
    if taken + more > limit:
        raise QuotaExceeded(
            f"{repository.namespace.name} holds {taken:,} bytes of {limit:,}; {more:,} more have no room."
        )


def require_byte_quota_for(repository: Repository, sizes: Mapping[str, int], *, is_guest: bool = False) -> None:
    """The same for files by their sha256, in the transaction that writes them: what is held takes no more room.

    Guests, who propose and may not write there, have a tenth of the room together: the rest is left to the owner.
    """
    if settings.QUOTA_BYTES:
        _hold(repository.namespace)
        named = RevisionFile.objects.filter(revision__repository=repository, blob__in=sizes)
        held = set(named.values_list("blob_id", flat=True))
        if more := sum(size for sha256, size in sizes.items() if sha256 not in held):
            require_byte_quota(repository, more)
            if is_guest and _proposed(repository.namespace) + more > settings.QUOTA_BYTES // GUESTS:
                raise QuotaExceeded(f"Proposals to {repository.namespace.name} hold as much as they may together.")


def _hold(namespace: Namespace) -> None:
    # Two pushes to two adapters of one owner must not both find the last room free. Not FOR UPDATE: that would wait
    # for whoever has just written a row that points here, who may be waiting for us.
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
