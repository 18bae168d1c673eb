"""People who sign in by an identity provider: their account here, and what their groups there give."""

import logging
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Q

from registry import models
from registry.kernel import audit, errors, seams, site_settings
from registry.kernel.callers import RANKS
from registry.kernel.texts import names
from registry.people import accounts, name_rules, profiles
from registry.people.organizations import organizations, teams
from registry.people.tokens import tokens

log = logging.getLogger(__name__)
TRIES = 20  # user names that are tried before a random one
MAX_USERNAME = 60
# The roles in the hub from the weakest to the strongest.
HUB_RANKS = tuple(models.User.Role.values)
Grants = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Identity:
    """A person as an identity provider describes them."""

    provider: str
    username: str = ""
    email: str = ""
    email_verified: bool = False
    full_name: str = ""
    is_let_in: bool = False  # whatever registration says


def person_for(identity: Identity) -> tuple[models.User, bool]:
    """Return the account of somebody who signs in by a provider for the first time, and whether it is new.

    It is an existing account only if both sides have proven the same address: to register
    somebody else's address here, or to claim it there, gives nothing. Never that of a moderator or administrator.
    Raises NotAllowed, ValueInvalid, NameTaken.
    """
    if identity.email and identity.email_verified and (user := _by_address(identity.email)):
        if user.role == models.User.Role.USER:
            return user, False
        raise errors.NotAllowed(
            "The account with your address moderates or administers this hub: sign in to it as before, and link it "
            "at Settings, Security."
        )
    site_settings.read_again()  # browsers come back from providers by GET
    if not identity.is_let_in and not accounts.may_register():
        raise errors.NotAllowed("This hub takes no new accounts now: ask an administrator for one.")
    return create(identity), True


def _by_address(email: str) -> models.User | None:
    """Return the person who has proven this address; both tables must say so."""
    user = models.User.objects.filter(
        email__lower=email.lower(), email_verified=True, kind=models.User.Kind.PERSON
    ).first()
    if user and EmailAddress.objects.filter(user=user, email=email.lower(), verified=True).exists():
        return user
    return None


def create(identity: Identity) -> models.User:
    """Create an account without a password, under the first free name. Raises ValueInvalid, NameTaken."""
    full_name = "".join(char for char in identity.full_name if char.isprintable())[:200]
    for username in _usernames(identity):
        try:
            return accounts.create_vouched(
                username, email=identity.email, email_verified=identity.email_verified, full_name=full_name
            )
        except (errors.NameInvalid, errors.NameProhibited, errors.NameReserved, errors.NameTaken):
            if not _is_free(username):
                continue
            raise
    raise errors.NameTaken("No free username could be generated.", fix="Ask an administrator for an account.")


def _is_free(username: str) -> bool:
    try:
        names.check_namespace(username)
        name_rules.require_allowed(username, models.NameRule.Scope.NAMESPACE)
    except (errors.NameInvalid, errors.NameProhibited, errors.NameReserved):
        return False
    lower = username.lower()
    taken = (models.Namespace.objects.filter(name__lower=lower), models.FormerNamespace.objects.filter(name=lower))
    held = any(feature.holds_name(lower) for feature in seams.joined())
    return not held and not any(rows.exists() for rows in taken)


def _usernames(identity: Identity) -> Iterator[str]:
    """Yield free names, the one that the provider prefers first.

    The last one holds nothing of that wish, which a rule may keep with everything that begins like it.
    """
    wish = identity.username or identity.email
    wish = re.sub(r"[^A-Za-z0-9._-]+", "-", wish.partition("@")[0])
    wish = re.sub(r"[-.]{2,}", "-", wish).strip("-._")[:MAX_USERNAME].rstrip("-._") or "person"
    numbered = [f"{wish}-{number}" for number in range(2, TRIES + 1)]
    random = [f"{stem}-{secrets.token_hex(4)}" for stem in (wish, "person")]
    return (name for name in (wish, *numbered, *random) if _is_free(name))


def apply_groups(user: models.User, groups: Collection[str], grants: Grants) -> None:
    """Give the person the roles that their groups give, and take those that they do not give.

    Only organisations and teams that `grants` names are touched, and the role in the hub only if it names one. A person
    who is put into a team becomes a member of its organisation, with the role `member` if no group gives another one.
    """
    roles = _roles(groups, grants)
    for team in [place for place, role in roles.items() if "/" in place and role]:
        organization = team.partition("/")[0]
        if organization in roles:
            roles[organization] = roles[organization] or models.Membership.Role.MEMBER
    for place, role in sorted(roles.items(), key=lambda row: "/" in row[0]):  # teams after their organisations
        try:
            if "/" in place:
                _set_team(place, user, is_in=bool(role))
            elif place:
                _set_member(place, user, role)
            else:
                accounts.set_role(user, role or models.User.Role.USER, by=None)
        except (
            errors.LastAdministrator,
            errors.NamespaceNotFound,
            errors.QuotaExceeded,
            errors.TeamNotFound,
            errors.ValueInvalid,
        ) as refusal:
            log.warning("Groups of %s at the identity provider: %s", user.username, refusal.detail)


def _roles(groups: Collection[str], grants: Grants) -> dict[str, str]:
    """Return the strongest role for each organisation, and for the hub under ""; "" is no role."""
    roles: dict[str, str] = {}
    for group, given in grants.items():
        for place, role in given:
            ranks = RANKS if place else HUB_RANKS
            candidates = {roles.get(place, ""), role if group in groups else ""} - {""}
            roles[place] = max(candidates, key=ranks.index, default="")
    return roles


def _set_member(name: str, user: models.User, role: str) -> None:
    organization = models.Organization.objects.select_related("namespace").filter(namespace__name__lower=name).first()
    if organization is None:
        raise errors.NamespaceNotFound(f"There is no organisation {name!r}.")
    current = organization.memberships.filter(user=user).values_list("role", flat=True).first() or ""
    if role == current:
        return
    with organizations.lock_members(organization):
        if role:
            organizations.admit(organization, user, role, by=None)
        else:
            organizations.end_membership(organization, user, None)


def _set_team(place: str, user: models.User, *, is_in: bool) -> None:
    organization, _, name = place.partition("/")
    rows = models.Team.objects.select_related("organization__namespace")
    team = rows.filter(organization__namespace__name__lower=organization, name__lower=name).first()
    if team is None:
        raise errors.TeamNotFound(f"There is no team {place!r}.")
    teams.change_by_directory(team, add=[user] if is_in else [], remove=[] if is_in else [user])


def record_link(user: models.User, provider: str, *, by: models.User | None, removed: bool = False) -> None:
    """Log that an identity at a provider belongs to an account now, or no more."""
    with transaction.atomic():
        audit.record(by, "account:unlink" if removed else "account:link", user.username, about=user, note=provider)


Departure = models.User.Departure


def leave(user: models.User) -> None:
    """End the sessions, tokens and waiting programs of a person, and keep them out; a no-op for one who left.

    Things of organisations stay, robots and trusted publishers too. A suspension stays as it is. Raises
    ValueInvalid for the last administrator of the hub.
    """
    with transaction.atomic():
        accounts.refuse_last_admin(user)
        row = models.User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if row.departure:
            return
        models.User.objects.filter(pk=user.pk).update(is_active=False, departure=Departure.LEFT)
        seams.change_pulls(Q(namespace=user.namespace_id))
        tokens.revoke_all(user, None)
        for session in UserSession.objects.filter(user=user):
            session.end()
        before, after = {"active": row.is_active}, {"active": False}
        audit.record(None, "person:leave", user.username, about=user, before=before, after=after)
    user.is_active, user.departure = False, Departure.LEFT


def come_back(user: models.User) -> None:
    """Let a person in again who left; their tokens stay revoked. Raises NotAllowed for a suspended or removed one."""
    with transaction.atomic():
        row = models.User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if row.suspended_at:
            raise errors.NotAllowed(f"{user.username} is suspended on this hub.", fix="Ask its moderators.")
        if row.departure == Departure.REMOVED:
            raise errors.NotAllowed(f"{user.username} was removed.", fix="Add the person again.")
        if not row.departure:
            return
        models.User.objects.filter(pk=user.pk).update(is_active=True, departure="")
        seams.change_pulls(Q(namespace=user.namespace_id))
        before, after = {"active": False}, {"active": True}
        audit.record(None, "person:return", user.username, about=user, before=before, after=after)
    user.is_active, user.departure = True, ""


def remove(user: models.User) -> None:
    """Do as `leave` does, for good: the name and the commits stay, the address is free again. Raises what it raises.

    Links with identity providers go: a person who is hired again gets a new account by the same identity.
    """
    with transaction.atomic():
        leave(user)
        profiles.set_address(user, "", verified=False, by=None)
        SocialAccount.objects.filter(user=user).delete()
        models.SignInPlace.objects.filter(user=user).delete()
        models.User.objects.filter(pk=user.pk).update(departure=Departure.REMOVED)
        audit.record(None, "person:remove", user.username, about=user)
    user.departure = Departure.REMOVED
