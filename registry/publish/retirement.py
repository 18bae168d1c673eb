"""Deprecates, archives, bins and restores repositories, and deletes a person's account.

A deprecation is the owner's word that others should move on; an archive changes no more. The bin holds deleted
repositories, gone on every road, which their owners can restore for some days: the manager `Repository.objects` leaves
them out and policy.may_see says no, so that a new query forgets neither. Their rows and bytes stay, and count in the
owner's quota, until somebody deletes them for good or `purge_expired` does. Of an account, what is the person's goes;
what others need stays as the word of a deleted person.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry import models
from registry.kernel import audit, outbox, policy, seams, site_settings
from registry.kernel.errors import AccountNotEmpty, NotAllowed, RepositoryNotFound, SignInRequired, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.people import accounts, name_rules
from registry.people.organizations import organizations
from registry.proof.verdicts import requests
from registry.publish import repositories
from registry.repos import bases, lookup, refs
from registry.repos.lists import search_terms

BATCH = 100  # repositories that one run deletes


def days() -> int:
    """Return how many days a deleted repository can be restored; 0 where deleting is for good."""
    return int(site_settings.get_setting("bin_days"))


def listed(by: Caller) -> QuerySet[models.Repository]:
    """Return the deleted repositories that the caller may restore, the newest first. Raises SignInRequired."""
    if by.user is None:
        raise SignInRequired("Sign in to see the bin; only owners can see it.")
    rows = models.Repository.with_binned.filter(binned_at__isnull=False).select_related(
        "namespace__person", "binned_by"
    )
    if not policy.is_hub_admin(by):
        rows = rows.filter(policy.in_reach(by, {models.Membership.Role.ADMIN}))
    return rows.order_by("-binned_at", "-pk")


def restore(number: int, by: Caller, name: str = "") -> models.Repository:
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
        name_rules.require_allowed(name, models.NameRule.Scope.REPOSITORY)
    with repositories.alone_of_its_name(f"{binned.namespace.name}/{name}", binned.type):
        current = find(number, by, is_locked=True)
        before, current.name = current.full_name, name
        current.binned_at = current.binned_by = None
        current.search_text = search_terms.words_of(current)
        current.save(update_fields=["name", "binned_at", "binned_by", "search_text"])
        _refresh_copies(current)
        seams.name(current)
        models.FormerName.objects.filter(type=current.type, full_name=current.full_name.lower()).delete()
        if current.full_name != before:
            name_rules.observe_repository(current, by.user)
        audit.record(
            by.user, "adapter:restore", current.full_name, about=current, before=before, after=current.full_name
        )
        outbox.record(outbox.Kind.RESTORED, current, by.user)
    return current


def _refresh_copies(current: models.Repository) -> None:
    """Write again the copies for lists: verdicts, holds and names of bases changed while nobody looked at the row."""
    base = bases.canonical_name(current.base) if current.base else ""
    models.Repository.objects.filter(pk=current.pk).update(is_main_held=refs.main_is_held(), base=base)
    requests.refresh(current)


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
    expired = models.Repository.with_binned.filter(binned_at__lt=before, quarantined_at__isnull=True)
    expired = expired.exclude(revisions__quarantined_at__isnull=False).order_by("binned_at")
    purged = 0
    for pk in expired.values_list("pk", flat=True)[:BATCH]:
        with transaction.atomic():
            rows = models.Repository.with_binned.select_for_update(of=("self",)).select_related("namespace")
            current = rows.filter(pk=pk, binned_at__lt=before).first()
            # Else it was restored or held back at this moment; a hold takes this lock first.
            if current is not None and repositories.evidence_in(current) is None:
                _purge(current, None)
                purged += 1
    return purged


def _purge(current: models.Repository, by: models.User | None) -> None:
    state = {"type": current.type, "private": current.private, "binned_at": str(current.binned_at)}
    audit.record(by, "adapter:purge", current.full_name, about=current, before=state)
    current.delete()


def find(number: int, by: Caller, *, is_locked: bool = False) -> models.Repository:
    """Return a repository in the bin that the caller may restore. Raises RepositoryNotFound, NotAllowed."""
    rows = listed(by)
    if by.token is not None and by.token.role != models.Token.Role.WRITE:
        raise NotAllowed(f"The token {by.token.name!r} may not change the bin: its role is {by.token.role}.")
    found = (rows.select_for_update(of=("self",), no_key=True) if is_locked else rows).filter(pk=number).first()
    if found is None:
        raise RepositoryNotFound(
            f"There is no deleted repository {number}, or you may not restore it.",
            fix="Reload the list of deleted repositories.",
        )
    return found


MAX_MESSAGE = 500


def deprecate(repository: models.Repository, by: Caller, message: str, successor: str = "") -> None:
    """Mark a repository as deprecated, with advice and perhaps the id of its successor; it is served as before.

    Raises ValueInvalid without advice, RepositoryNotFound for a successor that the caller cannot see, and what
    policy.require raises for CONFIGURE.
    """
    policy.require(by, Permission.CONFIGURE, repository)
    message = names.check_text(message, "message", MAX_MESSAGE)
    if successor:
        successor = lookup.find(successor, by, type=repository.type).full_name
    if successor == repository.full_name:
        raise ValueInvalid("A repository cannot be its own successor.", fix="Choose another one, or none.")
    if not message and not successor:
        raise ValueInvalid(
            "A deprecation needs a message or a successor.", fix="Explain what people should use instead."
        )
    at = repository.deprecated_at or timezone.now()
    _set(repository, by, Permission.CONFIGURE, deprecated_at=at, deprecation=message, successor=successor)


def undeprecate(repository: models.Repository, by: Caller) -> None:
    """Take a deprecation back; raises what policy.require raises for CONFIGURE."""
    _set(repository, by, Permission.CONFIGURE, deprecated_at=None, deprecation="", successor="")


def archive(repository: models.Repository, by: Caller) -> None:
    """Make a repository read-only: no pushes, discussions or settings but this one. Raises as policy.require does."""
    _set(repository, by, Permission.ARCHIVE, archived_at=repository.archived_at or timezone.now())


def unarchive(repository: models.Repository, by: Caller) -> None:
    """Allow changes again; raises what policy.require raises for ARCHIVE."""
    _set(repository, by, Permission.ARCHIVE, archived_at=None)


def _set(repository: models.Repository, by: Caller, permission: Permission, **columns: Any) -> None:
    with transaction.atomic():
        current = policy.require_now(by, permission, repository)
        before = {name: getattr(current, name) for name in columns}
        if before != columns:
            for name, value in columns.items():
                setattr(current, name, value)
            current.save(update_fields=list(columns))
            audit.record(
                by.user,
                "adapter:archive" if permission is Permission.ARCHIVE else "adapter:deprecation",
                current.full_name,
                about=current,
                before=_readable(before),
                after=_readable(columns),
            )
            outbox.record(outbox.Kind.CONFIGURED, current, by.user)
    for name, value in columns.items():
        setattr(repository, name, value)


def _readable(columns: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value or "") for name, value in columns.items()}


SHOWN = 5
# Rows that belong to the person alone, by the field that names the person.
PERSONAL = (
    (models.AccessRequest, "user"),
    (Authenticator, "user"),
    (models.Avatar, "user"),
    (EmailAddress, "user"),
    (models.Invitation, "user"),
    (models.SignInPlace, "user"),
    (SocialAccount, "user"),
    (models.Token, "user"),
)


def delete_account(user: models.User, *, with_repositories: bool) -> None:
    """Delete one's own account. The row stays without a name, because revisions and discussions have authors.

    Raises ValueInvalid for the last administrator of the hub, LastAdministrator for that of an organisation,
    AccountNotEmpty while there are repositories, and RepositoryQuarantined for one that moderators hold as evidence.
    """
    by = Caller(user=user)
    with transaction.atomic():
        accounts.refuse_last_admin(user)
        _leave_organizations(user)
        _delete_repositories(user, by, with_repositories)
        name = user.username
        audit.record(user, "person:delete", name, about=user, before={"role": user.role})
        models.FormerNamespace.objects.create(name=name.lower())
        for session in UserSession.objects.filter(user=user):
            session.end()
        for feature in seams.joined():
            feature.forget(user)
        for model, field in PERSONAL:
            model.objects.filter(**{field: user}).delete()
        _forget(user)


def _leave_organizations(user: models.User) -> None:
    for membership in models.Membership.objects.filter(user=user).select_related("organization__namespace"):
        with organizations.lock_members(membership.organization):
            organizations.end_membership(membership.organization, user, user)


def _delete_repositories(user: models.User, by: Caller, with_repositories: bool) -> None:
    rows = models.Repository.objects.filter(namespace=user.namespace).select_related("namespace")
    names = [f"{row.full_name} ({row.type})" for row in rows.order_by("type", "name")]
    if names and not with_repositories:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise AccountNotEmpty(f"{user.username} holds {', '.join(names[:SHOWN])}{more}.")
    for repository in rows:
        if repository.is_archived:
            unarchive(repository, by)
        repositories.delete(repository, by)
    # Nobody is left to restore them; what moderators hold as evidence stays in the bin.
    binned = models.Repository.with_binned.filter(namespace=user.namespace)
    binned.exclude(revisions__quarantined_at__isnull=False).delete()


def _forget(user: models.User) -> None:
    """Take the name and everything personal from the row. Nobody can sign in to it, and nobody can take its name."""
    stub = f"deleted-person+{user.pk}"
    user.set_unusable_password()
    models.Namespace.objects.filter(pk=user.namespace_id).update(name=stub)
    models.User.objects.filter(pk=user.pk).update(
        username=stub, full_name="", email="", email_verified=False, bio="", links=[], pictured_at=None,
        password=user.password, role=models.User.Role.USER, is_active=False, mail_alerts=False,
        departure=models.User.Departure.REMOVED,
    )  # fmt: skip
