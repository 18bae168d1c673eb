"""Who may do what, on one page."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from django.db.models import Exists, OuterRef, Q

from registry.kernel import refusals
from registry.kernel.errors import (
    NotAllowed,
    RegistryError,
    SessionRequired,
    SignInRequired,
)
from registry.kernel.prepared import Prepared
from registry.models import (
    AccessRequest,
    Membership,
    Namespace,
    Organization,
    Ref,
    Repository,
    Revision,
    Token,
    User,
)

Role = Membership.Role
CREATORS = frozenset({Role.CONTRIBUTOR, Role.WRITE, Role.ADMIN})  # who may make adapters in a namespace


class Permission(StrEnum):
    READ = "adapter:read"  # see that it exists: facts, file list, verdict
    BROWSE = "adapter:browse"  # the same, for clients that are on their way to the bytes: not of what is withheld
    DOWNLOAD = "adapter:download"  # get bytes
    DISCUSS = "adapter:discuss"  # speak up: threads, comments, pull requests and the bytes for them
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
        found = {row.organization.namespace_id: row.role for row in _MEMBERSHIPS(self.user.pk)}
        return {**found, self.user.namespace_id: Role.ADMIN}

    def grant(self, repository: Repository) -> str:
        """What a fine-grained token allows on this adapter: "", "read" or "write"; "write" for every other caller."""
        if self.token is None:
            return "write"
        if self.token.role == Token.Role.FINE_GRAINED:
            return str(self.token.grants.get(repository.full_name.lower(), ""))
        return self.token.role

    def role_in(self, repository: Repository) -> str:
        """The caller's role in the adapter's namespace, or "" for a stranger."""
        role = self.roles.get(repository.namespace_id, "")  # before the grant: how long this takes must not tell either
        return role if self.grant(repository) else ""


NOBODY = Caller()
_MEMBERSHIPS = Prepared(lambda user: Membership.objects.filter(user=user).select_related("organization"), int)


def may_write(caller: Caller, repository: Repository) -> bool:
    """Whether this person may push there, apart from quarantine and from what the token may do with what it reaches."""
    return _is_writer(caller, repository) and bool(caller.grant(repository))


def _is_writer(caller: Caller, repository: Repository) -> bool:
    role = caller.roles.get(repository.namespace_id, "")
    if role == Role.CONTRIBUTOR:
        return caller.user is not None and repository.created_by_id == caller.user.pk
    return role in {Role.WRITE, Role.ADMIN}


def may_see(caller: Caller, repository: Repository) -> bool:
    """Whether the adapter exists for this caller; visible_to() says for many which of them lists show."""
    if is_withheld(repository):
        return may_write(caller, repository) or (caller.is_staff and not repository.private)
    return not repository.private or bool(caller.role_in(repository))


def is_withheld(repository: Repository) -> bool:
    """Whether nobody may have it at present: it is quarantined, or the person it belongs to is suspended."""
    owner: User | None = getattr(repository.namespace, "person", None)  # an organisation's namespace has no person
    return repository.is_quarantined or (owner is not None and not owner.is_active)


def may_quote(source: Repository, target: Repository) -> bool:
    """Whether files of `source` may appear on pages of `target`: everybody may read them, or both have one audience."""
    if is_withheld(source) or source.gated:
        return False
    return may_see(NOBODY, source) or (target.private and source.namespace_id == target.namespace_id)


def visible_to(caller: Caller) -> Q:
    """The condition under which a list shows an adapter: never a withheld one, private ones to members."""
    mine = Q(namespace_id__in=list(caller.roles)) if not _is_fine_grained(caller) else _granted(caller)
    # The few who are suspended, rather than a join for each row: lists and counts scan all adapters.
    suspended = User.objects.filter(is_active=False).values("namespace")
    return Q(quarantined_at__isnull=True) & ~Q(namespace__in=suspended) & (Q(private=False) | mine)


def listed_to(caller: Caller) -> Q:
    """The condition under which a list shows a repository: it is visible, and main is not held back from the caller.

    Lists show a copy of what main says. Where its revision is quarantined, only those who may write there and
    moderators see that, as on its page.
    """
    if caller.is_staff:
        return visible_to(caller)
    # The few that are held back, rather than a join for each row.
    held = Revision.objects.filter(quarantined_at__isnull=False, refs__name=Ref.MAIN).values("repository")
    return visible_to(caller) & (~Q(pk__in=held) | _writable(caller))


def _writable(caller: Caller) -> Q:
    """`may_write` as a condition."""
    whole = [namespace for namespace, role in caller.roles.items() if role in {Role.WRITE, Role.ADMIN}]
    own = [namespace for namespace, role in caller.roles.items() if role == Role.CONTRIBUTOR]
    condition = Q(namespace_id__in=whole)
    if own:
        condition |= Q(namespace_id__in=own, created_by=caller.user)
    return condition & _granted(caller) if _is_fine_grained(caller) else condition


def concerns_listed_repository(caller: Caller) -> Exists:
    """`listed_to` as a condition on rows that belong to a repository."""
    return Exists(Repository.objects.filter(listed_to(caller), pk=OuterRef("repository")))


def concerns_visible_repository(caller: Caller) -> Exists:
    """The same as a condition on what belongs to an adapter.

    Row by row: in a list of all that may be seen, databases would look for the few that are asked for.
    """
    return Exists(Repository.objects.filter(visible_to(caller), pk=OuterRef("repository")))


def passes_gate(caller: Caller, repository: Repository) -> bool:
    """Whether who sees the adapter may also have its files: it is not gated, or his own, or its owner let him in."""
    if not repository.gated or caller.role_in(repository):
        return True
    if caller.user is None or not caller.grant(repository):
        return False
    return repository.access_requests.filter(user=caller.user, status=AccessRequest.Status.ACCEPTED).exists()


def ungated_for(caller: Caller) -> Q:
    """The same for many: the condition under which a caller may have the files of an adapter that he sees."""
    if _is_fine_grained(caller):
        return Q(gated="") | _granted(caller)
    let_in = AccessRequest.objects.filter(user=caller.user, status=AccessRequest.Status.ACCEPTED).values("repository")
    return Q(gated="") | Q(namespace_id__in=list(caller.roles)) | Q(pk__in=let_in)


def require(caller: Caller, permission: Permission, repository: Repository, asked: str = "") -> Repository:
    """Return the adapter if the caller has the permission, else raise the refusal that reveals least.

    `asked` is the id as the caller spelt it: to answer with our own spelling would tell that there is such an adapter.
    Raises RepositoryNotFound for what the caller may not see, RepositoryQuarantined, SignInRequired, SessionRequired,
    NotAllowed, and for the bytes of a gated adapter GateSignInRequired and AccessRequired.
    """
    if permission is Permission.QUARANTINE:
        require_moderator(caller)
        return repository
    if not may_see(caller, repository):
        raise refusals.repository_not_found(asked or repository.full_name)
    if permission is Permission.READ:
        return repository
    if is_withheld(repository):
        if may_write(caller, repository):
            raise refusals.quarantined(repository)
        raise refusals.repository_not_found(asked or repository.full_name)
    if permission is Permission.BROWSE:
        return repository
    if permission is Permission.DOWNLOAD:
        if not passes_gate(caller, repository):
            raise refusals.gated(caller.user, repository)
        return repository
    if refusal := _write_refusal(caller, permission, repository):
        raise refusal
    return repository


def require_now(caller: Caller, permission: Permission, repository: Repository) -> Repository:
    """`require`, on the row as it is now and locked until the transaction ends.

    For what takes a while between the question and the deed: a quarantine or a deletion in between counts.
    """
    rows = Repository.objects.select_for_update(of=("self",)).select_related("namespace__person")
    current = rows.filter(pk=repository.pk).first()
    if current is None:
        raise refusals.repository_not_found(repository.full_name)
    return require(caller, permission, current)


def require_namespace(caller: Caller, namespace: Namespace) -> None:
    """Raise unless the caller may create adapters in the namespace."""
    if caller.user is None:
        raise SignInRequired("Creating an adapter needs a signed-in person.")
    role = caller.roles.get(namespace.pk, "")
    if role not in CREATORS:
        raise NotAllowed(f"You may not create adapters in {namespace.name!r}.")
    if caller.token is not None and caller.token.role != Token.Role.WRITE:
        raise NotAllowed(f"The token {caller.token.name!r} may not create adapters: its role is {caller.token.role}.")


def require_person(caller: Caller, deed: str) -> User:
    """Return the person who does something in his own name. Raises SignInRequired, and NotAllowed for lesser tokens.

    `deed` completes the sentence "you must sign in to …".
    """
    if caller.user is None:
        raise SignInRequired(f"You must sign in to {deed}.")
    if caller.token is not None and caller.token.role != Token.Role.WRITE:
        raise NotAllowed(f"The token {caller.token.name!r} may not {deed}: its role is {caller.token.role}.")
    return caller.user


def require_writer(caller: Caller, namespace: Namespace, deed: str) -> User:
    """Return the person, who must be allowed to write everything in the namespace. Raises as require_person does."""
    user = require_person(caller, f"{deed} of {namespace.name}")
    if caller.roles.get(namespace.pk) not in {Role.WRITE, Role.ADMIN}:
        raise NotAllowed(f"{user.username} may not {deed} of {namespace.name}.")
    return user


def administers(caller: Caller, organization: Organization) -> bool:
    """Whether the caller decides who is in: one of its administrators, or in a session one of the hub's."""
    return caller.roles.get(organization.namespace_id) == Role.ADMIN or is_hub_admin(caller)


def is_hub_admin(caller: Caller) -> bool:
    """Whether this is an administrator of the hub in a session."""
    return caller.is_staff and caller.user is not None and caller.user.role == User.Role.ADMIN


def require_administrator(caller: Caller, organization: Organization, *, writing: bool = True) -> User:
    """Return who decides about an organisation. Raises SignInRequired, NotAllowed."""
    if caller.user is None:
        raise SignInRequired("What an organisation is, and who is in it, is its administrators' business: sign in.")
    if not administers(caller, organization):
        raise NotAllowed(
            f"{caller.user.username} does not administer {organization}.", fix="Ask one of its administrators."
        )
    token = caller.token
    if token is not None and token.role != Token.Role.WRITE and (writing or token.role != Token.Role.READ):
        raise NotAllowed(f"The token {token.name!r} may not do this: its role is {token.role}.")
    return caller.user


def in_own_namespace(caller: Caller) -> Q:
    """The condition that something belongs to a namespace of the caller; never with a fine-grained token."""
    return Q(namespace_id__in=[] if _is_fine_grained(caller) else list(caller.roles))


def owner_is_active() -> Q:
    """The condition that something belongs to an organisation, or to a person who is not suspended."""
    return ~Q(namespace__in=User.objects.filter(is_active=False).values("namespace"))


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


_DEEDS = {
    Permission.DISCUSS: "take part in the discussions of",
    Permission.PUSH: "push to",
    Permission.CONFIGURE: "change the settings of",
}


def _has_role_for(caller: Caller, permission: Permission, repository: Repository) -> bool:
    if permission is Permission.CONFIGURE:
        return caller.roles.get(repository.namespace_id) == Role.ADMIN
    return permission is Permission.DISCUSS or _is_writer(caller, repository)


def _write_refusal(caller: Caller, permission: Permission, repository: Repository) -> RegistryError | None:
    verb = _DEEDS[permission]
    if caller.user is None:
        return SignInRequired(f"You must sign in to {verb} {repository.full_name}.")
    if not _has_role_for(caller, permission, repository):
        return NotAllowed(f"{caller.user.username} may not {verb} {repository.full_name}.")
    if caller.grant(repository) != "write" or (permission is Permission.CONFIGURE and _is_fine_grained(caller)):
        name = caller.token.name if caller.token else ""
        return NotAllowed(f"The token {name!r} may not {verb} {repository.full_name}: it lacks the write role for it.")
    return None


def _is_fine_grained(caller: Caller) -> bool:
    return caller.token is not None and caller.token.role == Token.Role.FINE_GRAINED


def _granted(caller: Caller) -> Q:
    condition = Q(pk__in=[])
    for full_name in caller.token.grants if caller.token else {}:
        namespace, _, name = full_name.partition("/")
        condition |= Q(namespace__name__lower=namespace, name__lower=name, namespace_id__in=list(caller.roles))
    return condition
