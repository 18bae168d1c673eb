"""Limits: bytes of a file and of a push, and the quota of a person or an organisation."""

from collections.abc import Mapping

from django.conf import settings

from registry.kernel import policy
from registry.kernel.callers import Caller
from registry.kernel.errors import FileTooLarge, PushTooLarge, QuotaExceeded, ValueInvalid
from registry.kernel.limits import quota_alerts, quota_limits, stored_bytes
from registry.kernel.texts import links
from registry.models import Namespace, Repository, User
from registry.sql.prepared import Prepared, count_by

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


# --- what one person sends in a day ----------------------------------------------------------------------------------
def daily_limit(by: Caller) -> int:
    """Return how many bytes a caller may send within a day: twice the largest quota that they push to; 0 for no limit.

    Bytes that are delivered and never pushed count in no quota, and stay for days. Two quotas allow for retries.
    """
    places = {*by.roles, *(place for place, _ in by.roles_by_teams())}
    owners = _OWNERS(*(place for place in places if policy.may_create_in(by, place)))
    limits = [quota_limits.merged(owner.kind, getattr(owner, "quota", None)).bytes for owner in owners]
    return 2 * max(limits) if limits and all(limits) else 0


_OWNERS = Prepared(lambda *numbers: Namespace.objects.filter(pk__in=numbers).select_related("quota"), int)


def check_daily_upload(by: User, sent: int, limit: int) -> None:
    """Raise QuotaExceeded for a person who sent more bytes within a day than their limit."""
    if sent > limit:
        raise QuotaExceeded(f"{by.username} sent more than {limit:,} bytes within a day.", fix="Go on tomorrow.")


# --- what an owner holds ---------------------------------------------------------------------------------------------
def require_repository_quota(namespace: Namespace) -> None:
    """Raise QuotaExceeded if there are too many repositories; call it after writing the row of the new one.

    Those in the bin count, as their bytes do: else a bin would hold any number of them.
    """
    limits = quota_limits.limits_of(namespace)
    if limits.bytes or limits.repositories:  # a repository that moves in brings bytes as well
        quota_limits.lock(namespace.pk)
    if limits.repositories and (_REPOSITORIES.first(namespace.pk) or (0,))[0] > limits.repositories:
        raise QuotaExceeded(
            f"{namespace.name} has {limits.repositories:,} repositories, those in the bin too, and may not have more.",
            fix=f"Delete one for good, see {_usage_page(namespace)}, or ask an administrator of this hub for more.",
        )


_REPOSITORIES = Prepared(
    lambda namespace: count_by("namespace", Repository.with_binned.filter(namespace=namespace)), int
)


def require_byte_quota(repository: Repository, more: int) -> None:
    """Raise QuotaExceeded unless the quota has room for this many more bytes; 0 only refuses what is over it already.

    This is the early check, before bytes travel: two pushes at once may both pass it, and meet at the commit.
    """
    if limit := quota_limits.limits_of(repository.namespace).bytes:
        _check_room(repository.namespace, stored_bytes.bytes_used(repository.namespace), more, limit)


def require_byte_quota_for(repository: Repository, sizes: Mapping[str, int], *, is_guest: bool = False) -> None:
    """Check the quota for files by their sha256, in the transaction that writes them; known files use no more of it.

    Pushes to one owner wait here for each other, so that they never pass the quota together. Guests, who may propose
    but not write there, share a tenth of the quota: the rest is left to the owner.
    """
    namespace = repository.namespace
    if limit := quota_limits.limits_of(namespace).bytes:
        quota_limits.lock(namespace.pk)
        if more := stored_bytes.unheld(repository, sizes):
            used = stored_bytes.bytes_used(namespace)
            _check_room(namespace, used, more, limit)
            if is_guest:
                _check_proposals(namespace, more, limit // GUESTS)
            quota_alerts.note(namespace, used, used + more, limit)


def require_room_for_moved(repository: Repository) -> None:
    """Check the byte quota of the new owner of a repository, after require_repository_quota and the move."""
    namespace, more = repository.namespace, repository.stored_bytes
    if limit := quota_limits.limits_of(namespace).bytes:
        used = stored_bytes.bytes_used(namespace)
        _check_room(namespace, used - more, more, limit)
        quota_alerts.note(namespace, used - more, used, limit)


def _check_proposals(namespace: Namespace, more: int, limit: int) -> None:
    used = stored_bytes.bytes_proposed(namespace)
    if used + more > limit:
        raise QuotaExceeded(
            f"Proposals to {namespace.name} hold {used:,} of the {limit:,} bytes that they may hold together; "
            f"this needs {more:,} more.",
            fix="Ask the owner to merge some, or propose less.",
            used=used,
            limit=limit,
            asked=more,
        )


def _check_room(namespace: Namespace, used: int, more: int, limit: int) -> None:
    if used + more > limit:
        raise QuotaExceeded(
            f"{namespace.name} holds {used:,} of {limit:,} bytes; this needs {more:,} more.",
            fix=f"Free space: {_usage_page(namespace)} lists what holds it, the bin included. "
            "Or ask an administrator of this hub for more.",
            used=used,
            limit=limit,
            asked=more,
        )


def _usage_page(namespace: Namespace) -> str:
    is_person = namespace.kind == Namespace.Kind.PERSON
    return links.absolute(links.usage_path(namespace.name, is_person=is_person))
