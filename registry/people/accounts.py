"""Create and change people's accounts, give roles, and look up namespaces by name."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel import audit, outbox, policy, seams, site_settings
from registry.kernel.errors import NamespaceNotFound, NameTaken, NotAllowed, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import FormerNamespace, JoinLink, NameRule, Namespace, User
from registry.people import name_rules, profiles
from registry.people.organizations import join_links


def register(
    username: str,
    *,
    email: str = "",
    password: str,
    full_name: str = "",
    invitation: str = "",
    link: JoinLink | None = None,
) -> User:
    """Create the account of a person who registers, with a namespace of the same name.

    `invitation` is the secret of a link to the hub, needed while registration is by invitation; `link` is one to an
    organisation, which the caller counts. Raises NotAllowed where nobody may register so, InvitationNotFound,
    NameInvalid, NameTaken, ValueInvalid.
    """
    if not may_register(by_invitation=bool(invitation), to_organization=link is not None):
        raise NotAllowed(
            "Registration on this hub is by invitation only.", fix="Ask an administrator for an invitation."
        )
    user = _unsaved(username, email, full_name, User.Role.USER)
    check_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        if site_settings.get_setting("registration") == "invite" and link is None:
            link = join_links.find(invitation)
            join_links.use(link)
        if link:
            # The person followed the link that was sent there. If another account has the address, this one must not.
            user.email_verified = bool(email) and link.email.lower() == user.email.lower() and not _is_proven(email)
        return _save_new(user, by=user, namer=user)


def may_register(*, by_invitation: bool = False, to_organization: bool = False) -> bool:
    """Return whether people may make themselves an account now, by a link to the hub or to an organisation or without.

    A link to an organisation lets strangers in only where an administrator of the hub has said so.
    """
    registration = site_settings.get_setting("registration")
    if registration == "invite" and to_organization:
        return site_settings.get_setting("organization_invitations") == "anybody"
    return registration == "open" or (registration == "invite" and by_invitation)


def _is_proven(email: str) -> bool:
    return User.objects.filter(email__lower=email.strip().lower(), email_verified=True).exists()


def create_person(
    username: str, *, email: str = "", password: str | None = None, full_name: str = "", role: str = "user"
) -> User:
    """Create an account for the operator, with any password; without one the person cannot sign in by password.

    Raises NameInvalid, NameTaken, ValueInvalid.
    """
    user = _unsaved(username, email, full_name, role)
    user.email_verified = True
    user.set_password(password)  # None makes it unusable
    return _save_new(user, by=None, namer=None)


def create_vouched(username: str, *, email: str, email_verified: bool, full_name: str) -> User:
    """Create an account for which an identity provider or a directory vouches; it has no password.

    Its name follows the rules for people who register: nobody here has seen it. Raises NameInvalid, NameProhibited,
    NameReserved, NameTaken, ValueInvalid.
    """
    user = _unsaved(username, email, full_name, User.Role.USER)
    user.email_verified = email_verified
    user.set_unusable_password()
    return _save_new(user, by=None, namer=user)


def create_machine(username: str, kind: User.Kind, works_for: Namespace | None, *, full_name: str = "") -> User:
    """Create the account of a robot or a trusted publisher, which cannot sign in; call it in a transaction.

    Its name holds one of names.MACHINE_MARKS, so that it is nobody's. Raises IntegrityError for a name that is taken.
    """
    user = User(username=username, kind=kind, works_for=works_for, full_name=full_name, email_verified=True)
    user.set_unusable_password()
    user.namespace = Namespace.objects.create(name=username, kind=Namespace.Kind.PERSON)
    user.save()
    return user


def set_profile(user: User, *, by: User | None, **changes: Any) -> bool:
    """Change full_name, bio or links; returns whether anything changed. Raises ValueInvalid."""
    after = {field: PROFILE[field](value) for field, value in changes.items()}
    before = {field: getattr(user, field) for field in after}
    if before == after:
        return False
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(**after)
        audit.record(by, "person:profile", user.username, about=user, before=before, after=after)
    for field, value in after.items():
        setattr(user, field, value)
    return True


def check_links(links: list[str]) -> list[str]:
    """Return addresses for a profile. Raises ValueInvalid for more than MAX_LINKS, and for what is not https."""
    links = [names.check_text(link, "link", 200, "links") for link in links if link.strip()]
    if len(links) > MAX_LINKS:
        raise ValueInvalid(f"There are {len(links)} links.", f"Use at most {MAX_LINKS}.", "links")
    for link in links:
        try:
            URLValidator(schemes=["https"])(link)
        except ValidationError:
            raise ValueInvalid(
                f"The link {link!r} is not allowed.", "Write it as https://example.org.", "links"
            ) from None
    return links


PROFILE: dict[str, Callable[[Any], Any]] = {
    "full_name": lambda text: names.check_text(text, "full name", 200),
    "bio": lambda text: " ".join(names.check_text(text, "bio", 500).split()),
    "links": check_links,
}
MAX_LINKS = 5


def set_password(user: User, password: str, *, by: User | None) -> bool:
    """Replace the password, which ends the person's sessions, also by the same one: they may fear that it is known.

    `by=None` is the operator, who may set it again and again: it returns False for the one in use.
    """
    if by is None and user.check_password(password):
        return False
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(by, "person:password", user.username, about=user)
        outbox.record(Kind.ACCOUNT_CHANGED, None, person=user.pk, change="password", details="")
    return True


def change_password(user: User, old: str, new: str) -> None:
    """Replace one's own password, which ends all sessions of that person.

    Raises NotAllowed for a wrong old one, which the caller counts as a failed sign-in, and ValueInvalid for a weak one.
    """
    if not user.check_password(old):
        raise NotAllowed("The current password is wrong.", fix="Reset it if you forgot it, or ask an administrator.")
    check_password(new, user)
    set_password(user, new, by=user)


def set_role(user: User, role: str, *, by: Caller | None) -> bool:
    """Make somebody a user, moderator or administrator; returns whether anything changed.

    `by=None` is the operator at the command line. Raises ValueInvalid for an unknown role and for the last
    administrator, and what policy.require_admin raises.
    """
    actor = policy.require_admin(by) if by else None
    check_role(role)
    if user.is_machine:
        raise ValueInvalid(f"{user.username} is a robot.", fix="Give the role to a person.")
    with transaction.atomic():
        if role != User.Role.ADMIN:
            refuse_last_admin(user)
        current = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if current.role == role:
            return False
        User.objects.filter(pk=user.pk).update(role=role)
        audit.record(actor, "person:role", user.username, about=user, before=current.role, after=role)
    user.role = role
    return True


def refuse_last_admin(user: User) -> None:
    """Raise ValueInvalid if this person is the only administrator of the hub.

    Locks all administrators in one order, before other rows: two who dismiss each other at once wait here.
    """
    admins = User.objects.select_for_update(no_key=True).filter(role=User.Role.ADMIN, is_active=True).order_by("pk")
    if [admin.pk for admin in admins] == [user.pk]:
        raise ValueInvalid(
            f"{user.username} is the only administrator of this hub.", fix="Make another person an administrator first."
        )


def check_role(role: str) -> None:
    """Raise ValueInvalid for a role that does not exist."""
    if role not in User.Role.values:
        raise ValueInvalid(f"Unknown role {role!r}.", fix=f"Use one of {', '.join(User.Role.values)}.")


def _unsaved(username: str, email: str, full_name: str, role: str) -> User:
    names.check_namespace(username)
    check_role(role)
    full_name = names.check_text(full_name, "full name", 200)
    return User(username=username, email=profiles.check_email(email), full_name=full_name, role=role)


def _save_new(user: User, *, by: User | None, namer: User | None) -> User:
    """Store a new person with their namespace; `namer` is None where the operator chose the name, as in take_name."""
    try:
        with profiles.addresses_are_unique(), transaction.atomic():
            user.namespace = take_name(user.username, Namespace.Kind.PERSON, namer)
            user.save()
            profiles.store_row(user, user.email, verified=user.email_verified)
            audit.record(by, "person:register", user.username, about=user, after=user.role)
    except IntegrityError:
        raise NameTaken(f"The name {user.username!r} is already taken.") from None
    return user


def take_name(name: str, kind: str, by: User | None) -> Namespace:
    """Create a namespace; call it in a transaction. Raises NameTaken for a former name of an organisation.

    `by=None` is the operator, who may give reserved names away; for others name_rules.require_allowed raises.

    If two callers want one name, the unique index gives one of them an IntegrityError.
    """
    name_rules.require_allowed(name, NameRule.Scope.NAMESPACE, is_operator=by is None)
    for feature in seams.joined():
        feature.take_name(name, by)
    namespace = Namespace.objects.create(name=name, kind=kind)
    if by is not None:
        name_rules.observe_namespace(namespace, by if by.pk else None)
    refuse_former(name)  # after the insert, which waits for a transaction that gives the name up at this moment
    return namespace


def refuse_former(name: str, of: Namespace | None = None) -> None:
    """Raise NameTaken for a name that was given up, unless `of` gave it up, or DOVETAIL_RETIRED_NAME_DAYS are over."""
    former = FormerNamespace.objects.filter(name=name.lower()).first()
    if former and (of is None or former.namespace_id != of.pk):
        if settings.RETIRED_NAME_DAYS and former.at < timezone.now() - timedelta(days=settings.RETIRED_NAME_DAYS):
            former.delete()
            return
        raise NameTaken(f"The name {name!r} is already taken.")


def check_password(password: str, user: User) -> None:
    """Raise ValueInvalid with every reason why the password is too weak."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValueInvalid(
            f"This password is not allowed: {' '.join(error.messages)}", "Choose another one.", "password"
        ) from None


def get_namespace(name: str) -> Namespace:
    """Return the namespace of that name, ignoring case; machines have no page. Raises NamespaceNotFound."""
    rows = Namespace.objects.select_related("person", "organization").filter(name__lower=name.lower(), source="")
    namespace = rows.first() if names.MACHINE_MARKS.isdisjoint(name) else None
    if namespace is None:
        raise NamespaceNotFound(f"There is no person or organisation {name!r}.")
    return namespace


def resolve_namespace(name: str) -> Namespace:
    """Return the namespace that has this name, or had it before it was renamed. Raises NamespaceNotFound."""
    try:
        return get_namespace(name)
    except NamespaceNotFound:
        renamed = Namespace.objects.select_related("person", "organization").filter(former__name=name.lower()).first()
        if renamed is None:
            raise
        return renamed


def namespace_for_new(name: str) -> Namespace:
    """Return the namespace for something new. Raises NotAllowed if there is none of that name.

    Former names are reported but not followed: nobody should find their work where they did not put it.
    """
    try:
        return get_namespace(name)
    except NamespaceNotFound:
        renamed = Namespace.objects.filter(former__name=name.lower()).first()
        fix = f"{name} is called {renamed.name} now: use that name." if renamed else ""
        raise NotAllowed(f"You may not create repositories in {name!r}.", fix=fix) from None


def get_person(username: str) -> User:
    """Return the person of that name, ignoring case; a machine is none. Raises NamespaceNotFound."""
    user = User.objects.filter(namespace__name__lower=username.lower(), kind=User.Kind.PERSON).first()
    if user is None:
        raise NamespaceNotFound(f"There is no person {username!r}.")
    return user
