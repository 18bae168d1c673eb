"""Delete a person's account: what is theirs goes, what others need stays as the word of a deleted person."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import F

from registry.kernel import audit
from registry.kernel.errors import AccountNotEmpty
from registry.kernel.policy import Caller
from registry.kernel.seams import joined
from registry.models import (
    AccessRequest,
    Avatar,
    DeviceLogin,
    Follow,
    FormerNamespace,
    Invitation,
    Like,
    Membership,
    Namespace,
    QueueView,
    Repository,
    SignInPlace,
    Token,
    User,
)
from registry.people import accounts
from registry.people.organizations import organizations
from registry.publish import repositories
from registry.publish.retention import retiring

SHOWN = 5
# Rows that belong to the person alone, by the field that names the person.
PERSONAL = (
    (AccessRequest, "user"),
    (Authenticator, "user"),
    (Avatar, "user"),
    (DeviceLogin, "user"),
    (EmailAddress, "user"),
    (Follow, "follower"),
    (Invitation, "user"),
    (Like, "user"),
    (QueueView, "user"),
    (SignInPlace, "user"),
    (SocialAccount, "user"),
    (Token, "user"),
)


def delete_account(user: User, *, with_repositories: bool) -> None:
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
        FormerNamespace.objects.create(name=name.lower())
        for session in UserSession.objects.filter(user=user):
            session.end()
        for feature in joined():
            feature.forget(user)
        Follow.objects.filter(namespace=user.namespace).delete()
        Repository.objects.filter(liked_by__user=user).update(likes=F("likes") - 1)
        for model, field in PERSONAL:
            model.objects.filter(**{field: user}).delete()
        _forget(user)


def _leave_organizations(user: User) -> None:
    for membership in Membership.objects.filter(user=user).select_related("organization__namespace"):
        with organizations.lock_members(membership.organization):
            organizations.end_membership(membership.organization, user, user)


def _delete_repositories(user: User, by: Caller, with_repositories: bool) -> None:
    rows = Repository.objects.filter(namespace=user.namespace).select_related("namespace")
    names = [f"{row.full_name} ({row.type})" for row in rows.order_by("type", "name")]
    if names and not with_repositories:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise AccountNotEmpty(f"{user.username} holds {', '.join(names[:SHOWN])}{more}.")
    for repository in rows:
        if repository.is_archived:
            retiring.unarchive(repository, by)
        repositories.delete(repository, by)
    # Nobody is left to restore them; what moderators hold as evidence stays in the bin.
    binned = Repository.with_binned.filter(namespace=user.namespace)
    binned.exclude(revisions__quarantined_at__isnull=False).delete()


def _forget(user: User) -> None:
    """Take the name and everything personal from the row. Nobody can sign in to it, and nobody can take its name."""
    stub = f"deleted-person+{user.pk}"
    user.set_unusable_password()
    Namespace.objects.filter(pk=user.namespace_id).update(name=stub)
    User.objects.filter(pk=user.pk).update(
        username=stub, full_name="", email="", email_verified=False, bio="", links=[], pictured_at=None,
        password=user.password, role=User.Role.USER, is_active=False, mail_alerts=False,
        departure=User.Departure.REMOVED,
    )  # fmt: skip
