"""Limits: bytes of a file and of a push, the quota of a person or an organisation, and what they hold of it.

Owners are told that they come close to their quota: once at 80 % and once when it is full. An alert is armed again when
the use falls below its mark. Pushes note crossings in their own transaction, `review` those by other ways, such as a
lower limit.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from registry.kernel import outbox, policy, site_settings, stored_bytes
from registry.kernel.callers import Caller
from registry.kernel.errors import FileTooLarge, NamespaceNotFound, PushTooLarge, QuotaExceeded, ValueInvalid
from registry.kernel.texts import phrases
from registry.models import Namespace, NamespaceQuota, Repository, User

# In force on a hub that strangers may join, unless the operator set others: a hundred adapters of 250 MB for a person.
OPEN_BYTES = {Namespace.Kind.PERSON: 25_000_000_000, Namespace.Kind.ORGANIZATION: 100_000_000_000}
OPEN_REPOSITORIES = {Namespace.Kind.PERSON: 1_000, Namespace.Kind.ORGANIZATION: 5_000}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a namespace may hold; 0 for no limit."""

    bytes: int
    repositories: int


def hub_limits(kind: str) -> Limits:
    """Return the limits of a person or an organisation for whom no administrator set others."""
    is_open = site_settings.get_setting("registration") == "open"
    of_bytes, of_repositories = settings.QUOTA_BYTES, settings.QUOTA_REPOSITORIES
    if of_bytes is None:
        of_bytes = OPEN_BYTES[Namespace.Kind(kind)] if is_open else 0
    if of_repositories is None:
        of_repositories = OPEN_REPOSITORIES[Namespace.Kind(kind)] if is_open else 0
    return Limits(of_bytes, of_repositories)


def limits_of(namespace: Namespace) -> Limits:
    """Return the limits in force for a namespace."""
    return merged(namespace.kind, NamespaceQuota.objects.filter(namespace=namespace).first())


def lock(number: int) -> Namespace:
    """Return a namespace, locked: two pushes to two repositories of one owner must not both use the rest of the quota.

    NO KEY, because a plain FOR UPDATE waits for transactions that have written a row pointing here, and they may be
    waiting for us. Raises NamespaceNotFound if it was deleted meanwhile.
    """
    namespace = Namespace.objects.select_for_update(no_key=True).filter(pk=number).first()
    if namespace is None:
        raise NamespaceNotFound("The user or organisation was deleted in the meantime.")
    return namespace


def merged(kind: str, quota: NamespaceQuota | None) -> Limits:
    """Return the limits of a namespace of this kind with this row, or without one."""
    limits = hub_limits(kind)
    if quota is None:
        return limits
    return Limits(
        limits.bytes if quota.bytes is None else quota.bytes,
        limits.repositories if quota.repositories is None else quota.repositories,
    )


NEAR, FULL = 80, 100  # percent


def mark_of(used: int, limit: int) -> int:
    """Return the highest mark that a use has reached: 0, NEAR or FULL."""
    percent = 100 * used // limit if limit else 0
    return next((mark for mark in (FULL, NEAR) if percent >= mark), 0)


def note(namespace: Namespace, before: int, after: int, limit: int) -> bool:
    """Record an alert if the use rises to a mark; call it under the lock of the namespace. Return whether it did."""
    mark = mark_of(after, limit)
    if not mark:
        return False  # what was alerted before counts no more: the next rise begins below a mark
    alerted = NamespaceQuota.objects.filter(namespace=namespace).values_list("alerted", flat=True).first() or 0
    if mark != alerted:
        NamespaceQuota.objects.update_or_create(namespace=namespace, defaults={"alerted": mark})
    if mark <= min(alerted, mark_of(before, limit)):
        return False
    outbox.record(
        outbox.Kind.QUOTA_REACHED,
        None,
        namespace=namespace.pk,
        owner=namespace.name,
        percent=mark,
        bytes=after,
        limit=limit,
    )
    return True


def review() -> int:
    """Note every namespace that is at a mark without an alert, and arm those that fell below; return the alerts."""
    noted = 0
    for number in _candidates():
        with suppress(NamespaceNotFound), transaction.atomic():
            namespace = lock(number)
            used, limit = stored_bytes.bytes_used(namespace), limits_of(namespace).bytes
            if mark := mark_of(used, limit):
                noted += note(namespace, used, used, limit)
            alerted = NamespaceQuota.objects.filter(namespace=number, alerted__gt=mark)
            alerted.update(alerted=mark)
    return noted


def _candidates() -> Iterator[int]:
    """Return the ids of namespaces that have a row here, or that hold most of the hub's own limit."""
    yield from NamespaceQuota.objects.values_list("namespace", flat=True)
    for kind in Namespace.Kind.values:
        if limit := hub_limits(kind).bytes:
            rows = Repository.with_binned.filter(namespace__kind=kind, namespace__quota=None).order_by()
            sums = rows.values("namespace").annotate(held=Sum("stored_bytes"))
            yield from sums.filter(held__gte=limit * NEAR // 100).values_list("namespace", flat=True)


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
    owners = Namespace.objects.select_related("quota").filter(
        pk__in=[place for place in places if policy.may_create_in(by, place)]
    )
    limits = [merged(owner.kind, getattr(owner, "quota", None)).bytes for owner in owners]
    return 2 * max(limits) if limits and all(limits) else 0


def check_daily_upload(by: User, sent: int, limit: int) -> None:
    """Raise QuotaExceeded for a person who sent more bytes within a day than their limit."""
    if sent > limit:
        raise QuotaExceeded(f"{by.username} has uploaded more than {limit:,} bytes today.", fix="Try again tomorrow.")


# --- what an owner holds ---------------------------------------------------------------------------------------------
def require_repository_quota(namespace: Namespace) -> None:
    """Raise QuotaExceeded if there are too many repositories; call it after writing the row of the new one.

    Those in the bin count, as their bytes do: else a bin would hold any number of them.
    """
    limits = limits_of(namespace)
    if limits.bytes or limits.repositories:  # a repository that moves in brings bytes as well
        lock(namespace.pk)
    if limits.repositories and Repository.with_binned.filter(namespace=namespace).count() > limits.repositories:
        raise QuotaExceeded(
            f"{namespace.name} has {limits.repositories:,} repositories, the limit (the bin counts).",
            fix=f"Delete one permanently at {_usage_page(namespace)}, or ask an administrator to raise the limit.",
        )


def require_byte_quota(repository: Repository, more: int) -> None:
    """Raise QuotaExceeded unless the quota has room for this many more bytes; 0 only refuses what is over it already.

    This is the early check, before bytes travel: two pushes at once may both pass it, and meet at the commit.
    """
    if limit := limits_of(repository.namespace).bytes:
        _check_room(repository.namespace, stored_bytes.bytes_used(repository.namespace), more, limit)


def require_byte_quota_for(repository: Repository, sizes: Mapping[str, int], *, is_guest: bool = False) -> None:
    """Check the quota for files by their sha256, in the transaction that writes them; known files use no more of it.

    Pushes to one owner wait here for each other, so that they never pass the quota together. Guests, who may propose
    but not write there, share a tenth of the quota: the rest is left to the owner.
    """
    namespace = repository.namespace
    if limit := limits_of(namespace).bytes:
        lock(namespace.pk)
        if more := stored_bytes.unheld(repository, sizes):
            used = stored_bytes.bytes_used(namespace)
            _check_room(namespace, used, more, limit)
            if is_guest:
                _check_proposals(namespace, more, limit // GUESTS)
            note(namespace, used, used + more, limit)


def require_room_for_moved(repository: Repository) -> None:
    """Check the byte quota of the new owner of a repository, after require_repository_quota and the move."""
    namespace, more = repository.namespace, repository.stored_bytes
    if limit := limits_of(namespace).bytes:
        used = stored_bytes.bytes_used(namespace)
        _check_room(namespace, used - more, more, limit)
        note(namespace, used - more, used, limit)


def _check_proposals(namespace: Namespace, more: int, limit: int) -> None:
    used = stored_bytes.bytes_proposed(namespace)
    if used + more > limit:
        raise QuotaExceeded(
            f"Pull requests to {namespace.name} use {used:,} of {limit:,} bytes; this needs {more:,} more.",
            fix="Ask the owner to merge or close some, or propose less.",
            used=used,
            limit=limit,
            asked=more,
        )


def _check_room(namespace: Namespace, used: int, more: int, limit: int) -> None:
    if used + more > limit:
        raise QuotaExceeded(
            f"{namespace.name} holds {used:,} of {limit:,} bytes; this needs {more:,} more.",
            fix=f"Free some space: {_usage_page(namespace)} shows what uses it, including the bin. "
            "Or ask an administrator of this hub to raise the limit.",
            used=used,
            limit=limit,
            asked=more,
        )


def _usage_page(namespace: Namespace) -> str:
    is_person = namespace.kind == Namespace.Kind.PERSON
    return phrases.absolute(phrases.usage_path(namespace.name, is_person=is_person))


LARGEST = 50  # repositories that are listed


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and repositories that a namespace holds, those in the bin too, and its limits; 0 for none."""

    bytes: int
    limit: int
    repositories: int
    repository_limit: int
    binned_bytes: int

    @property
    def percent(self) -> int:
        """The part of the limit that is used, rounded down; 0 without a limit."""
        return 100 * self.bytes // self.limit if self.limit else 0


def usage_of(namespace: Namespace) -> Usage:
    """Return the use of a namespace and its limits."""
    return _usage(stored_bytes.totals(namespace), limits_of(namespace))


def usage_of_each(rows: Iterable[NamespaceQuota]) -> list[tuple[NamespaceQuota, Usage]]:
    """Return the use of each namespace with limits of its own; one query for all of them."""
    quotas = list(rows)
    totals = stored_bytes.totals_of_each([row.namespace_id for row in quotas])
    nothing = stored_bytes.Totals(0, 0, 0)
    return [(row, _usage(totals.get(row.namespace_id, nothing), merged(row.namespace.kind, row))) for row in quotas]


def _usage(held: stored_bytes.Totals, limits: Limits) -> Usage:
    return Usage(held.bytes, limits.bytes, held.repositories, limits.repositories, held.binned_bytes)


def by_repository(namespace: Namespace) -> list[Repository]:
    """Return the repositories that hold most, the largest first; only what lists of the use show is loaded."""
    rows = Repository.with_binned.filter(namespace=namespace).order_by("-stored_bytes", "name", "pk")
    rows = rows.select_related("namespace").only(
        "type", "name", "private", "stored_bytes", "binned_at", "namespace__name"
    )
    return list(rows[:LARGEST])
