"""The bin: deleted repositories, gone on every road, which their owners can restore for some days.

The manager `Repository.objects` leaves them out and policy.may_see says no, so that a new query forgets neither. Their
rows and bytes stay, and count in the owner's quota, until somebody deletes them for good or `purge_expired` does.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, policy, seams, site_settings
from registry.kernel.errors import NotAllowed, RepositoryNotFound, SignInRequired
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import FormerName, Membership, NameRule, Repository, Token, User
from registry.people import known_names, name_rules
from registry.proof import verdicts
from registry.publish import repositories
from registry.repos import bases, refs
from registry.repos.lists import search_terms

BATCH = 100  # repositories that one run deletes


def days() -> int:
    """Return how many days a deleted repository can be restored; 0 where deleting is for good."""
    return int(site_settings.get_setting("bin_days"))


def listed(by: Caller) -> QuerySet[Repository]:
    """Return the deleted repositories that the caller may restore, the newest first. Raises SignInRequired."""
    if by.user is None:
        raise SignInRequired("The bin is its owners' business: sign in.")
    rows = Repository.with_binned.filter(binned_at__isnull=False).select_related("namespace__person", "binned_by")
    if not policy.is_hub_admin(by):
        rows = rows.filter(policy.in_reach(by, {Membership.Role.ADMIN}))
    return rows.order_by("-binned_at", "-pk")


def restore(number: int, by: Caller, name: str = "") -> Repository:
    """Take a repository out of the bin, under another name of the same owner if one is given.

    Raises RepositoryNotFound, NotAllowed, SignInRequired, NameInvalid, and RepositoryExists if the name
    is in use again.
    """
    binned = find(number, by)
    name = name.strip() or binned.name
    names.check_name(name)
    site_settings.require_new_repositories()
    policy.require_unpaused(policy.require_person(by, "restore a repository"))
    if name != binned.name:
        if not policy.is_hub_admin(by):
            policy.require_namespace(by, binned.namespace, name, binned.type)  # a team administers some names alone
        name_rules.require_allowed(name, NameRule.Scope.REPOSITORY)
    with repositories.alone_of_its_name(f"{binned.namespace.name}/{name}", binned.type):
        current = find(number, by, is_locked=True)
        before, current.name = current.full_name, name
        current.binned_at = current.binned_by = None
        current.search_text = search_terms.words_of(current)
        current.save(update_fields=["name", "binned_at", "binned_by", "search_text"])
        _refresh_copies(current)
        seams.name(current)
        FormerName.objects.filter(type=current.type, full_name=current.full_name.lower()).delete()
        if current.full_name != before:
            known_names.observe_repository(current, by.user)
        audit.record(
            by.user, "adapter:restore", current.full_name, about=current, before=before, after=current.full_name
        )
        outbox.record(Kind.RESTORED, current, by.user)
    return current


def _refresh_copies(current: Repository) -> None:
    """Write again the copies for lists: verdicts, holds and names of bases changed while nobody looked at the row."""
    base = bases.canonical_name(current.base) if current.base else ""
    Repository.objects.filter(pk=current.pk).update(is_main_held=refs.main_is_held(), base=base)
    verdicts.refresh(current)


def purge(number: int, by: Caller) -> None:
    """Delete a repository in the bin for good; the sweep deletes bytes that nothing else refers to.

    Raises what `find` raises, and RepositoryQuarantined for what moderators hold back as evidence.
    """
    with transaction.atomic():
        current = find(number, by, is_locked=True)
        repositories.require_no_evidence(current)
        _purge(current, by.user)


def purge_expired() -> int:
    """Delete for good what was in the bin for longer than its days, some at once; return how many.

    Evidence stays: repositories that are held back, or one of whose revisions is.
    """
    before = timezone.now() - timedelta(days=days())
    expired = Repository.with_binned.filter(binned_at__lt=before, quarantined_at__isnull=True)
    expired = expired.exclude(revisions__quarantined_at__isnull=False).order_by("binned_at")
    purged = 0
    for pk in expired.values_list("pk", flat=True)[:BATCH]:
        with transaction.atomic():
            rows = Repository.with_binned.select_for_update(of=("self",)).select_related("namespace")
            current = rows.filter(pk=pk, binned_at__lt=before).first()
            # Else it was restored or held back at this moment; a hold takes this lock first.
            if current is not None and repositories.evidence_in(current) is None:
                _purge(current, None)
                purged += 1
    return purged


def _purge(current: Repository, by: User | None) -> None:
    state = {"type": current.type, "private": current.private, "binned_at": str(current.binned_at)}
    audit.record(by, "adapter:purge", current.full_name, about=current, before=state)
    current.delete()


def find(number: int, by: Caller, *, is_locked: bool = False) -> Repository:
    """Return a repository in the bin that the caller may restore. Raises RepositoryNotFound, NotAllowed."""
    rows = listed(by)
    if by.token is not None and by.token.role != Token.Role.WRITE:
        raise NotAllowed(f"The token {by.token.name!r} may not change the bin: its role is {by.token.role}.")
    found = (rows.select_for_update(of=("self",), no_key=True) if is_locked else rows).filter(pk=number).first()
    if found is None:
        raise RepositoryNotFound(
            f"There is no deleted repository {number}, or you may not restore it.", fix="Look at your bin again."
        )
    return found
