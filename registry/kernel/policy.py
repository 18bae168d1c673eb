"""The rules: who may see a repository, and who may do something with it."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from registry.kernel import refusals
from registry.kernel.callers import NOBODY as NOBODY
from registry.kernel.callers import WRITERS, granted, in_force
from registry.kernel.callers import Caller as Caller
from registry.kernel.callers import Permission as Permission
from registry.kernel.callers import in_reach as in_reach
from registry.kernel.callers import teams_with_role as teams_with_role
from registry.kernel.errors import NotAllowed, RegistryError, RepositoryNotFound, SessionRequired, SignInRequired
from registry.models import AccessRequest, Membership, Namespace, Organization, Repository, Token, User
from registry.sql.prepared import Prepared

Role = Membership.Role
_SETTINGS = frozenset({Permission.CONFIGURE, Permission.ARCHIVE})
_PUBLISHING = frozenset({Permission.PUSH, Permission.CONFIGURE})
_CHANGES_NO_FILES = _SETTINGS | {Permission.INSPECT}
_WHILE_ARCHIVED = frozenset({Permission.ARCHIVE, Permission.INSPECT})
CREATORS = frozenset({Role.CONTRIBUTOR, Role.WRITE, Role.ADMIN})  # roles that may create repositories


def may_write(caller: Caller, repository: Repository) -> bool:
    """Return whether the person may push to the repository; neither a quarantine nor a read-only token counts here."""
    return _is_writer(caller, repository) and bool(caller.grant(repository))


def _is_writer(caller: Caller, repository: Repository) -> bool:
    role = caller.role_at(repository.namespace_id, repository.type, repository.name)
    if role == Role.CONTRIBUTOR:
        return caller.user is not None and repository.created_by_id == caller.user.pk
    return role in WRITERS


def may_see(caller: Caller, repository: Repository) -> bool:
    """Return whether the repository exists for this caller; `visible_to` is the condition for lists."""
    if repository.is_binned:
        return False
    if is_withheld(repository):
        return may_write(caller, repository) or (caller.is_staff and not repository.private)
    return not repository.private or bool(caller.role_in(repository))


def readers_of(repository: Repository) -> Q:
    """Return `may_see` as a condition on people, in sessions and without staff rights: nobody sees a withheld one."""
    if is_withheld(repository):
        return Q(pk__in=[])
    if not repository.private:
        return Q()
    members = Membership.objects.filter(in_force(), organization__namespace=repository.namespace_id)
    reading = members.filter(~Q(role=Role.MEMBER) | Q(teams__team__in=teams_with_role(repository)))
    return Q(namespace=repository.namespace_id) | Q(pk__in=reading.values("user"))


def is_withheld(repository: Repository) -> bool:
    """Return whether the repository is served to nobody: it is deleted, or moderation holds it."""
    return repository.is_binned or is_held(repository)


def is_held(repository: Repository) -> bool:
    """Return whether moderation holds the repository: it is quarantined, or its owner is suspended."""
    owner: User | None = getattr(repository.namespace, "person", None)  # an organisation's namespace has no person
    return repository.is_quarantined or (owner is not None and not owner.is_active)


def may_quote(source: Repository, target: Repository) -> bool:
    """Return whether pages of `target` may show files of `source`: they are public, or all readers read both."""
    return not source.gated and may_name(source, target)


def may_name(source: Repository, target: Repository) -> bool:
    """Return whether pages and files of `target` may name `source`: it is public, or all readers see both."""
    if is_withheld(source):
        return False
    if may_see(NOBODY, source):
        return True
    is_inside = target.private and source.namespace_id == target.namespace_id
    return is_inside and teams_with_role(target) <= teams_with_role(source)


def visible_to(caller: Caller, *, elsewhere: bool = False) -> Q:
    """Return the condition under which a list shows a repository: never a withheld one, private ones to members.

    Those that are read from other hubs are in no list but one of them alone (`elsewhere`).
    """
    own = granted(caller) if caller.is_fine_grained else in_reach(caller)
    # A subquery for the few suspended people, not a join for each row: lists and counts scan all repositories.
    suspended = User.objects.filter(is_active=False).values("namespace")
    in_use = Q(quarantined_at__isnull=True, binned_at__isnull=True)
    source = ~Q(source="") if elsewhere else Q(source="")
    return source & in_use & ~Q(namespace__in=suspended) & (Q(private=False) | own)


def listed_to(caller: Caller, *, elsewhere: bool = False) -> Q:
    """Return the condition under which a list shows a repository: it is visible, and main is not held back.

    Lists show a copy of the facts of `verified`, else of main. Only writers and moderators see a repository there whose
    main is quarantined, or yanked while nothing is verified.
    """
    visible = visible_to(caller, elsewhere=elsewhere)
    if caller.is_staff:
        return visible
    released = Q(is_main_held=False)
    return visible & (released | writable_by(caller) if caller.roles else released)


def writable_by(caller: Caller) -> Q:
    """Return `may_write` as a condition."""
    own = [namespace for namespace, role in caller.roles.items() if role == Role.CONTRIBUTOR]
    condition = in_reach(caller, WRITERS)
    if own:
        condition |= Q(namespace_id__in=own, created_by=caller.user)
    return condition & granted(caller) if caller.is_fine_grained else condition


def has_listed_repository(caller: Caller) -> Exists:
    """Return `listed_to` as a condition on rows that belong to a repository."""
    return Exists(Repository.objects.filter(listed_to(caller), pk=OuterRef("repository")))


def has_visible_repository(caller: Caller) -> Exists:
    """Return `visible_to` as a condition on rows that belong to a repository.

    EXISTS is asked row by row. With IN, databases list all visible repositories to find the few of these rows.
    """
    return Exists(Repository.objects.filter(visible_to(caller), pk=OuterRef("repository")))


def passes_gate(caller: Caller, repository: Repository) -> bool:
    """Return whether a caller who sees the repository may have its files: no gate, a member, or an accepted request."""
    if not repository.gated or caller.role_in(repository):
        return True
    if caller.user is None or not caller.grant(repository):
        return False
    return repository.access_requests.filter(user=caller.user, status=AccessRequest.Status.ACCEPTED).exists()


def ungated_for(caller: Caller) -> Q:
    """Return `passes_gate` as a condition on repositories that the caller sees."""
    if caller.is_fine_grained:
        return Q(gated="") | granted(caller)
    accepted = AccessRequest.objects.filter(user=caller.user, status=AccessRequest.Status.ACCEPTED).values("repository")
    return Q(gated="") | in_reach(caller) | Q(pk__in=accepted)


def require(caller: Caller, permission: Permission, repository: Repository, asked: str = "") -> Repository:
    """Return the repository if the caller has the permission, else raise the refusal that reveals least.

    `asked` is the id as the caller spelled it: a refusal in our own spelling would reveal that the repository exists.
    Raises RepositoryNotFound or RepositoryRemoved for what the caller may not see, RepositoryQuarantined,
    SignInRequired, SessionRequired, NotAllowed, SecondFactorRequired, RepositoryArchived, and for the bytes of a gated
    repository GateSignInRequired and AccessRequired.
    """
    if permission is Permission.QUARANTINE:
        require_moderator(caller)
        return repository
    if not may_see(caller, repository):
        if not is_withheld(repository) and caller.is_locked_out(repository):
            raise refusals.second_factor(repository.namespace.name)
        raise refusals.hidden(repository, asked)
    if permission is Permission.READ:
        return repository
    if is_withheld(repository):
        if may_write(caller, repository):
            raise refusals.quarantined(repository)
        raise refusals.hidden(repository, asked)
    if permission is Permission.BROWSE:
        return repository
    if permission is Permission.DOWNLOAD:
        if not passes_gate(caller, repository):
            if caller.is_locked_out(repository):
                raise refusals.second_factor(repository.namespace.name)
            raise refusals.gated(caller.user, repository)
        return repository
    if repository.source:
        raise refusals.read_elsewhere(repository.full_name, repository.source)
    if refusal := _write_refusal(caller, permission, repository):
        raise refusal
    if repository.is_archived and permission not in _WHILE_ARCHIVED:
        raise refusals.archived(repository)
    return repository


def require_now(caller: Caller, permission: Permission, repository: Repository) -> Repository:
    """Do as `require` does, on the current row, which stays locked until the transaction ends.

    For acts that come some time after the first check: a quarantine or a deletion in between counts.
    """
    current = _LOCKED.first(repository.pk)
    if current is None:
        raise refusals.repository_not_found(repository.full_name)
    return require(caller, permission, current)


def _locked(pk: int) -> QuerySet[Repository]:
    # Without the key: a commit that only refers to the repository, such as that of an event, does not wait.
    rows = Repository.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("namespace__person").filter(pk=pk)


_LOCKED = Prepared(_locked, int)


def may_create_in(caller: Caller, namespace: int) -> bool:
    """Return whether the person may create repositories in the namespace, at least with some names."""
    teams = {grant.role for place, grant in caller.roles_by_teams() if place == namespace}
    return caller.roles.get(namespace) in CREATORS or not teams.isdisjoint(CREATORS)


def require_bound(caller: Caller, permission: Permission, repository: Repository, to: str) -> Repository:
    """Do as `require` does, for what was bound `to` a repository by its row, such as a ticket.

    The refusal names nothing: the repository may have got another name since, which the caller may not know.
    """
    try:
        return require(caller, permission, repository)
    except RepositoryNotFound:
        raise RepositoryNotFound(f"The repository of this {to} does not exist, or you may not see it.") from None


def require_namespace(caller: Caller, namespace: Namespace, name: str = "", type: str = "") -> None:
    """Raise SignInRequired, SecondFactorRequired or NotAllowed unless the caller may create such a repository there.

    A machine creates those alone whose id (`name` is its second part) its token may create, a trusted publisher the
    one for which it waits, and a person to whom a team gives the right, those whose names match.
    """
    if caller.user is None:
        raise SignInRequired("Sign in to create a repository.")
    require_unpaused(caller.user)
    if refusal := refusals.unverified(caller.user) or refusals.lacks_factor(caller.user):
        raise refusal
    refuse_locked(caller, namespace)
    if caller.role_at(namespace.pk, type, name) not in CREATORS:
        raise _no_creator(caller, namespace)
    if caller.is_machine and caller.named_grant(f"{namespace.name}/{name}") == "create" and _waits_for(caller, type):
        return
    if caller.token is not None and caller.token.role != Token.Role.WRITE:
        raise NotAllowed(
            f"The token {caller.token.name!r} may not create repositories: its role is {caller.token.role}."
        )


def _waits_for(caller: Caller, type: str) -> bool:
    """Return whether a machine may create a repository of this type: a robot any, a publisher while it is pending."""
    publisher = caller.publisher
    return not caller.is_publisher or (
        publisher is not None and publisher.repository_id is None and publisher.type == type
    )


def refuse_locked(caller: Caller, namespace: Namespace) -> None:
    """Raise SecondFactorRequired for a member whose role there gives nothing before they have a second factor."""
    if namespace.pk in caller.locked:
        raise refusals.second_factor(namespace.name)


def _no_creator(caller: Caller, namespace: Namespace) -> NotAllowed:
    """Return the refusal for a person who may create nothing, or only repositories with other names."""
    grants = [grant for place, grant in caller.roles_by_teams() if place == namespace.pk and grant.role in CREATORS]
    if not grants:
        return NotAllowed(f"You may not create repositories in {namespace.name!r}.")
    patterns = ", ".join(sorted({f"{grant.pattern} ({grant.type or 'any type'})" for grant in grants}))
    return NotAllowed(
        f"You may not create a repository with this name in {namespace.name!r}.",
        fix=f"Use a name that your teams may create there: {patterns}.",
    )


def require_unpaused(user: User) -> None:
    """Raise PublishingPaused for a person whose strikes keep them from publishing now."""
    if _is_paused(user):
        raise refusals.publishing_paused(user)


def _is_paused(user: User) -> bool:
    """Return whether the person is paused; of a machine, the person for whom it works."""
    person: User | None = getattr(user.works_for, "person", None) if user.is_machine else user
    return person is not None and person.paused_until is not None and person.paused_until > timezone.now()


def require_person(caller: Caller, deed: str, *, publishes: bool = True) -> User:
    """Return the person behind the caller. Raises SignInRequired, and NotAllowed for a token without the write role.

    `deed` completes the sentence "you must sign in to …". Raises EmailUnverified for what other people see, unless
    the person has proven an address.
    """
    if caller.user is None:
        raise SignInRequired(f"You must sign in to {deed}.")
    if caller.token is not None and caller.token.role != Token.Role.WRITE:
        raise NotAllowed(f"The token {caller.token.name!r} may not {deed}: its role is {caller.token.role}.")
    if publishes and (refusal := refusals.unverified(caller.user)):
        raise refusal
    return caller.user


def is_hub_admin(caller: Caller) -> bool:
    """Return whether the caller is an administrator of the hub in a session."""
    return caller.is_staff and caller.user is not None and caller.user.role == User.Role.ADMIN


def administers(caller: Caller, organization: Organization) -> bool:
    """Return whether the caller is an administrator of the organisation, or one of the hub in a session."""
    role = caller.roles.get(organization.namespace_id)
    return role == Role.ADMIN or is_hub_admin(caller)


def is_by_administrator() -> Exists:
    """Return the condition on rows with `organization` and `by` that `by` administers the organisation now."""
    rows = Membership.objects.filter(in_force(), role=Role.ADMIN)
    return Exists(rows.filter(organization=OuterRef("organization"), user=OuterRef("by")))


def require_administered(caller: Caller, organization: Organization, *, writing: bool = True) -> User:
    """Return the administrator of the organisation who asks. Raises SignInRequired, NotAllowed, SecondFactorRequired.

    A token needs the write role, or without `writing` the read role.
    """
    if caller.user is None:
        raise SignInRequired("Sign in as an administrator of the organisation to see its settings and members.")
    if not administers(caller, organization):
        refuse_locked(caller, organization.namespace)
        raise NotAllowed(
            f"{caller.user.username} does not administer {organization}.", fix="Ask one of its administrators."
        )
    token = caller.token
    if token is not None and token.role != Token.Role.WRITE and (writing or token.role != Token.Role.READ):
        raise NotAllowed(f"The token {token.name!r} may not do this: its role is {token.role}.")
    return caller.user


def in_own_namespace(caller: Caller) -> Q:
    """Return the condition that a row belongs to a namespace of the caller; never with a fine-grained token."""
    return Q(namespace_id__in=[] if caller.is_fine_grained else list(caller.roles))


def owner_is_active() -> Q:
    """Return the condition that a row belongs to an organisation, or to a person who is not suspended."""
    return ~Q(namespace__in=User.objects.filter(is_active=False).values("namespace"))


def require_moderator(caller: Caller) -> User:
    """Return the moderator or administrator who acts. Raises SignInRequired, SessionRequired, NotAllowed."""
    user = _in_session(caller, "Moderators")
    if user.role == User.Role.USER:
        raise NotAllowed("Only moderators can do this.", fix="Ask a moderator of this hub.")
    return user


def require_admin(caller: Caller) -> User:
    """Return the administrator who acts. Raises SignInRequired, SessionRequired, NotAllowed."""
    user = _in_session(caller, "Administrators")
    if user.role != User.Role.ADMIN:
        raise NotAllowed("Only administrators can do this.", fix="Ask an administrator of this hub.")
    return user


def _in_session(caller: Caller, who: str) -> User:
    if caller.user is None:
        raise SignInRequired(f"{who} must sign in to do this.")
    if caller.token is not None:
        raise SessionRequired(f"{who} can only act in a browser session, not with a token.")
    return caller.user


def _has_role_for(caller: Caller, permission: Permission, repository: Repository) -> bool:
    if permission in _SETTINGS:
        return caller.role_at(repository.namespace_id, repository.type, repository.name) == Role.ADMIN
    return permission is Permission.DISCUSS or _is_writer(caller, repository)


def _write_refusal(caller: Caller, permission: Permission, repository: Repository) -> RegistryError | None:
    if caller.user is None or not _has_role_for(caller, permission, repository):
        if repository.namespace_id in caller.locked:
            return refusals.second_factor(repository.namespace.name)
        return refusals.lacks_role(caller.user, permission, repository)
    if caller.grant(repository) != "write" or (permission in _SETTINGS and caller.is_fine_grained):
        return refusals.lacks_grant(caller.token, permission, repository)
    if permission not in _CHANGES_NO_FILES and _is_paused(caller.user):
        return refusals.publishing_paused(caller.user)
    if permission not in _CHANGES_NO_FILES and (refusal := refusals.unverified(caller.user)):
        return refusal
    if permission in _PUBLISHING and (lacking := refusals.lacks_factor(caller.user)):
        return lacking
    if permission is Permission.PUSH and repository.publishers_only and caller.token and not caller.is_publisher:
        return refusals.publishers_only(caller.token, repository)
    return None
