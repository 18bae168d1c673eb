"""Who may do what, on one page."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from django.db.models import Q

from registry.errors import (
    AdapterNotFound,
    AdapterQuarantined,
    NotAllowed,
    RegistryError,
    SessionRequired,
    SignInRequired,
)
from registry.models import Adapter, Membership, Namespace, Token, User

Role = Membership.Role


class Permission(StrEnum):
    READ = "adapter:read"  # see that it exists: facts, file list, verdict
    DOWNLOAD = "adapter:download"  # get bytes
    PUSH = "adapter:push"
    CONFIGURE = "adapter:configure"  # visibility, delete: the owner's business
    QUARANTINE = "adapter:quarantine"  # and release: moderators in a session


@dataclass(eq=False)
class Caller:
    """Whoever asks: nobody, a person in a browser session, or a token of a person."""

    user: User | None = None
    token: Token | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.user is None

    @property
    def is_staff(self) -> bool:
        """Whether this is a moderator or administrator in a session; staff rights never go by token."""
        return self.user is not None and self.token is None and self.user.role != User.Role.USER

    @cached_property
    def roles(self) -> dict[int, str]:
        """Namespace id → role, for every namespace this person belongs to; one query per caller."""
        if self.user is None:
            return {}
        rows = Membership.objects.filter(user=self.user).values_list("organization__namespace_id", "role")
        return {**dict(rows), self.user.namespace_id: Role.ADMIN}

    def grant(self, adapter: Adapter) -> str:
        """What a fine-grained token allows on this adapter: "", "read" or "write"; "write" for every other caller."""
        if self.token is None:
            return "write"
        if self.token.role == Token.Role.FINE_GRAINED:
            return str(self.token.grants.get(adapter.full_name.lower(), ""))
        return self.token.role

    def role_in(self, adapter: Adapter) -> str:
        """The caller's role in the adapter's namespace, or "" for a stranger."""
        role = self.roles.get(adapter.namespace_id, "")  # before the grant: how long this takes must not tell either
        return role if self.grant(adapter) else ""


NOBODY = Caller()


def may_write(caller: Caller, adapter: Adapter) -> bool:
    """Whether this person may push there, apart from quarantine and from what the token may do with what it reaches."""
    return _is_writer(caller, adapter) and bool(caller.grant(adapter))


def _is_writer(caller: Caller, adapter: Adapter) -> bool:
    role = caller.roles.get(adapter.namespace_id, "")
    if role == Role.CONTRIBUTOR:
        return caller.user is not None and adapter.created_by_id == caller.user.pk
    return role in {Role.WRITE, Role.ADMIN}


def may_see(caller: Caller, adapter: Adapter) -> bool:
    """Whether the adapter exists for this caller; visible_to() says for many which of them lists show."""
    if is_withheld(adapter):
        return may_write(caller, adapter) or (caller.is_staff and not adapter.private)
    return not adapter.private or bool(caller.role_in(adapter))


def is_withheld(adapter: Adapter) -> bool:
    """Whether nobody may have it at present: it is quarantined, or the person it belongs to is suspended."""
    owner: User | None = getattr(adapter.namespace, "person", None)  # an organisation's namespace has no person
    return adapter.is_quarantined or (owner is not None and not owner.is_active)


def visible_to(caller: Caller) -> Q:
    """The condition under which a list shows an adapter: never a withheld one, private ones to members."""
    mine = Q(namespace_id__in=list(caller.roles)) if not _is_fine_grained(caller) else _granted(caller)
    # The few who are suspended, rather than a join for each row: lists and counts scan all adapters.
    suspended = User.objects.filter(is_active=False).values("namespace")
    return Q(quarantined_at__isnull=True) & ~Q(namespace__in=suspended) & (Q(private=False) | mine)


def require(caller: Caller, permission: Permission, adapter: Adapter, asked: str = "") -> Adapter:
    """Return the adapter if the caller has the permission, else raise the refusal that reveals least.

    `asked` is the id as the caller spelt it: to answer with our own spelling would tell that there is such an adapter.
    Raises AdapterNotFound for what the caller may not see, AdapterQuarantined, SignInRequired, SessionRequired
    and NotAllowed.
    """
    if permission is Permission.QUARANTINE:
        require_moderator(caller)
        return adapter
    if not may_see(caller, adapter):
        raise missing(asked or adapter.full_name)
    if permission is Permission.READ:
        return adapter
    if is_withheld(adapter):
        raise quarantined(adapter) if may_write(caller, adapter) else missing(asked or adapter.full_name)
    if permission is Permission.DOWNLOAD:
        return adapter
    if refusal := _write_refusal(caller, permission, adapter):
        raise refusal
    return adapter


def require_now(caller: Caller, permission: Permission, adapter: Adapter) -> Adapter:
    """`require`, on the row as it is now and locked until the transaction ends.

    For what takes a while between the question and the deed: a quarantine or a deletion in between counts.
    """
    rows = Adapter.objects.select_for_update(of=("self",)).select_related("namespace__person")
    current = rows.filter(pk=adapter.pk).first()
    if current is None:
        raise missing(adapter.full_name)
    return require(caller, permission, current)


def require_namespace(caller: Caller, namespace: Namespace) -> None:
    """Raise unless the caller may create adapters in the namespace."""
    if caller.user is None:
        raise SignInRequired("Creating an adapter needs a signed-in person.")
    role = caller.roles.get(namespace.pk, "")
    if role not in {Role.CONTRIBUTOR, Role.WRITE, Role.ADMIN}:
        raise NotAllowed(f"You may not create adapters in {namespace.name!r}.")
    if caller.token is not None and caller.token.role != Token.Role.WRITE:
        raise NotAllowed(f"The token {caller.token.name!r} may not create adapters: its role is {caller.token.role}.")


def require_moderator(caller: Caller) -> User:
    """Return the moderator or administrator who acts. Raises SignInRequired, SessionRequired, NotAllowed."""
    user = _in_session(caller, "Moderators")
    if user.role == User.Role.USER:
        raise NotAllowed("Only moderators may do this.", fix="Ask a moderator of this hub.")
    return user


def require_admin(caller: Caller) -> User:
    """Return the administrator who acts. Raises SignInRequired, SessionRequired, NotAllowed."""
    user = _in_session(caller, "Administrators")
    if user.role != User.Role.ADMIN:
        raise NotAllowed("Only administrators may do this.", fix="Ask an administrator of this hub.")
    return user


def _in_session(caller: Caller, who: str) -> User:
    if caller.user is None:
        raise SignInRequired(f"{who} must sign in to do this.")
    if caller.token is not None:
        raise SessionRequired(f"{who} act from a browser session, never by token.")
    return caller.user


def pretend_to_look(caller: Caller) -> int:
    """Ask what a private adapter would have made us ask, for one that is not there: the time must not tell."""
    return len(caller.roles)


def missing(full_name: str) -> AdapterNotFound:
    """The one refusal for what does not exist and what this caller may not see."""
    return AdapterNotFound(f"There is no adapter {full_name!r}, or you may not see it.")


def quarantined(adapter: Adapter) -> AdapterQuarantined:
    """The refusal that people who may write there get, with the moderators' reason."""
    ruling = adapter.rulings.filter(action="quarantine").order_by("-id").first()
    reason = ruling.reason if ruling else "no reason was given"
    return AdapterQuarantined(f"{adapter.full_name} is quarantined: {reason}", reason=reason)


def _write_refusal(caller: Caller, permission: Permission, adapter: Adapter) -> RegistryError | None:
    verb = "push to" if permission is Permission.PUSH else "change the settings of"
    if caller.user is None:
        return SignInRequired(f"You must sign in to {verb} {adapter.full_name}.")
    owns = caller.roles.get(adapter.namespace_id) == Role.ADMIN
    if not (_is_writer(caller, adapter) if permission is Permission.PUSH else owns):
        return NotAllowed(f"{caller.user.username} may not {verb} {adapter.full_name}.")
    if caller.grant(adapter) != "write" or (permission is Permission.CONFIGURE and _is_fine_grained(caller)):
        name = caller.token.name if caller.token else ""
        return NotAllowed(f"The token {name!r} may not {verb} {adapter.full_name}: it lacks the write role for it.")
    return None


def _is_fine_grained(caller: Caller) -> bool:
    return caller.token is not None and caller.token.role == Token.Role.FINE_GRAINED


def _granted(caller: Caller) -> Q:
    condition = Q(pk__in=[])
    for full_name in caller.token.grants if caller.token else {}:
        namespace, _, name = full_name.partition("/")
        condition |= Q(namespace__name__lower=namespace, name__lower=name, namespace_id__in=list(caller.roles))
    return condition
