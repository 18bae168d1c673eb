"""The caller, their second factor, and the permissions that can be asked for; policy.py holds the rules."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q

from registry.models import Membership, Repository, TeamGrant, Token, TrustedPublisher, User
from registry.sql.prepared import Prepared

_FACTORS = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES)
Role = Membership.Role
ROLES = frozenset({Role.READ, Role.CONTRIBUTOR, Role.WRITE, Role.ADMIN})  # that open a repository
RANKS = ("", *Role.values)  # the roles in a namespace from the weakest to the strongest
WRITERS = frozenset({Role.WRITE, Role.ADMIN})  # that push to every repository they cover


def has_second_factor(user: User) -> bool:
    """Return whether the person has an authenticator app or a passkey."""
    return bool(_FACTORS.filter(user=user).exists())


def owner_has_factor() -> Exists:
    """Return `has_second_factor` as a condition on rows that belong to a person as their `user`."""
    return Exists(_FACTORS.filter(user=OuterRef("user")))


def in_force() -> Q:
    """Return the condition on memberships that they count: no second factor is required, or the person has one."""
    return Q(organization__requires_second_factor=False) | Q(owner_has_factor())


class Permission(StrEnum):
    READ = "adapter:read"  # see that the repository exists: facts, file list, verdict
    BROWSE = "adapter:browse"  # the same for clients about to download; refused for a withheld repository
    DOWNLOAD = "adapter:download"  # get bytes
    DISCUSS = "adapter:discuss"  # threads, comments, pull requests and the bytes for them
    PUSH = "adapter:push"
    CONFIGURE = "adapter:configure"  # visibility, deletion
    INSPECT = "adapter:inspect"  # see what only those who push see, such as every large file
    ARCHIVE = (
        "adapter:archive"  # what remains of CONFIGURE while it is archived: unarchive, read settings, admit people
    )
    QUARANTINE = "adapter:quarantine"  # and release: moderators in a session


class TeamRole(NamedTuple):
    """A role that a team gives in the repositories of its organisation with such names; `type` is empty for any."""

    type: str
    pattern: str
    role: str

    def covers(self, type: str, name: str) -> bool:
        """Return whether a repository of this type and name is one of them."""
        return self.type in ("", type) and fnmatchcase(name.lower(), self.pattern)


def roles_by_teams(membership: Membership) -> list[TeamRole]:
    """Return the roles that a member has by teams, without those that the membership gives anyway."""
    grants = (TeamRole(*grant) for grant in membership.grants)
    return [grant for grant in grants if RANKS.index(grant.role) > RANKS.index(membership.role)]


def role_of_member(membership: Membership, type: str, name: str) -> str:
    """Return a member's role in a repository: the strongest that the membership or one of the teams gives, or ""."""
    by_teams = [grant.role for grant in roles_by_teams(membership) if grant.covers(type, name)]
    role = max([membership.role, *by_teams], key=RANKS.index)
    return "" if role == Membership.Role.MEMBER else role


@dataclass(eq=False)
class Caller:
    """The caller of one request: nobody, a person in a browser session, or a person's token."""

    user: User | None = None
    token: Token | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.user is None

    @property
    def is_staff(self) -> bool:
        """True for a moderator or administrator in a session; tokens have no staff rights."""
        return self.user is not None and self.token is None and self.user.role != User.Role.USER

    @property
    def is_fine_grained(self) -> bool:
        """True for a token that names the repositories it may reach; a machine has no other rights."""
        return self.token.role == Token.Role.FINE_GRAINED if self.token else self.is_machine

    @property
    def is_machine(self) -> bool:
        """True for a robot or a trusted publisher."""
        return self.user is not None and self.user.is_machine

    @property
    def is_publisher(self) -> bool:
        """True for the token that a trusted publisher gave to one CI job."""
        return self.token is not None and self.token.user.kind == User.Kind.PUBLISHER

    @property
    def publisher(self) -> TrustedPublisher | None:
        """The trusted publisher that asks, None for other callers; one query per caller, as rows of users keep it."""
        return getattr(self.user, "publisher", None) if self.is_publisher else None

    @cached_property
    def memberships(self) -> dict[int, Membership]:
        """The person's memberships by the id of the organisation's namespace, without those in `locked`; one query."""
        rows = {row.organization.namespace_id: row for row in self._memberships}
        return {namespace: row for namespace, row in rows.items() if namespace not in self.locked}

    @cached_property
    def roles(self) -> dict[int, str]:
        """The person's role in all of a namespace, by its id; without `locked`, and where teams alone open anything."""
        if self.user is None:
            return {}
        if self.user.is_machine:
            return {self.user.works_for_id: Membership.Role.WRITE} if self.user.works_for_id else {}
        whole = {
            namespace: membership.role
            for namespace, membership in self.memberships.items()
            if membership.role != Membership.Role.MEMBER
        }
        return {**whole, self.user.namespace_id: Membership.Role.ADMIN}

    @cached_property
    def locked(self) -> dict[int, Membership]:
        """The memberships that give nothing now: the organisation requires a second factor, and the person has none.

        Costs a query for members of such organisations alone, together with `roles`: a refusal takes as long for a
        private repository as for one that does not exist.
        """
        strict = [row for row in self._memberships if row.organization.requires_second_factor]
        if not strict or self.user is None or has_second_factor(self.user):
            return {}
        return {row.organization.namespace_id: row for row in strict}

    def is_locked_out(self, repository: Repository) -> bool:
        """Return whether a second factor alone keeps the caller from a role in the repository."""
        membership = self.locked.get(repository.namespace_id)
        role = role_of_member(membership, repository.type, repository.name) if membership else ""
        return bool(role) and bool(self.grant(repository))

    @cached_property
    def _memberships(self) -> list[Membership]:
        return _MEMBERSHIPS(self.user.pk) if self.user is not None and not self.is_machine else []

    def roles_by_teams(self) -> Iterator[tuple[int, TeamRole]]:
        """Yield the stronger roles that teams give, each with the id of the organisation's namespace."""
        for namespace, membership in self.memberships.items():
            for grant in roles_by_teams(membership):
                yield namespace, grant

    def role_at(self, namespace: int, type: str, name: str) -> str:
        """Return the person's role in the repository of that name, which need not exist yet; "" for a stranger."""
        membership = self.memberships.get(namespace)
        return role_of_member(membership, type, name) if membership else self.roles.get(namespace, "")

    def grant(self, repository: Repository) -> str:
        """Return "", "read" or "write": what the token allows on this repository; "write" where no token asks."""
        if self.is_publisher and (self.publisher is None or self.publisher.repository_id != repository.pk):
            return ""  # another type may have a repository of this name, and another one may take it after a move
        if self.is_fine_grained:
            right = self.named_grant(repository.full_name)
            return "write" if right == "create" else right
        return self.token.role if self.token else "write"

    def named_grant(self, full_name: str) -> str:
        """Return the strongest right that a fine-grained token gives on an id: "", "read", "write" or "create"."""
        asked, grants = full_name.lower(), self.token.grants if self.token else {}
        rights = {right for pattern, right in grants.items() if matches(pattern, asked)}
        return next((right for right in ("create", "write", "read") if right in rights), "")

    def role_in(self, repository: Repository) -> str:
        """Return the caller's role in the repository, or "" for a stranger."""
        # Asked before the grant, so that the response time does not reveal whether the token names the repository.
        role = self.role_at(repository.namespace_id, repository.type, repository.name)
        return role if self.grant(repository) else ""


def matches(pattern: str, full_name: str) -> bool:
    """Return whether a grant on `pattern` (ns/name or ns/prefix*) covers this id; both are in lower case."""
    return full_name.startswith(pattern[:-1]) if pattern.endswith("*") else full_name == pattern


NOBODY = Caller()
_MEMBERSHIPS = Prepared(lambda user: Membership.objects.filter(user=user).select_related("organization"), int)


# The repositories that a role covers, as conditions for lists, which agree with Caller.role_in for one repository. The
# patterns of teams become conditions on the name, beside those on the namespace: lists scan and count as they did,
# without a join, and a repository that is created, renamed, moved or restored is covered by its name at once.


def in_reach(caller: Caller, roles: Collection[str] = ROLES) -> Q:
    """Return the condition that the person has one of these roles in a repository, by membership or by a team.

    The rights of the person's token do not count here.
    """
    condition = Q(namespace_id__in=[namespace for namespace, role in caller.roles.items() if role in roles])
    for namespace, grant in caller.roles_by_teams():
        if grant.role in roles:
            condition |= _covered_by(namespace, grant)
    return condition


def _covered_by(namespace: int, grant: TeamRole) -> Q:
    """Return TeamRole.covers as a condition on the repositories of a namespace."""
    condition = Q(namespace_id=namespace)
    if grant.type:
        condition &= Q(type=grant.type)
    if grant.pattern != "*":
        like = grant.pattern.replace("_", r"\_").replace("*", "%").replace("?", "_")
        condition &= Q(name__lower__like=like)
    return condition


def granted(caller: Caller) -> Q:
    """Return the condition that a fine-grained token names a repository in which its person has a role."""
    if caller.is_publisher:
        return Q(pk=caller.publisher.repository_id) if caller.publisher else Q(pk__in=[])
    condition = Q(pk__in=[])
    for pattern in caller.token.grants if caller.token else {}:
        namespace, _, name = pattern.partition("/")
        lookup = {"name__lower__startswith": name[:-1]} if name.endswith("*") else {"name__lower": name}
        condition |= Q(namespace__name__lower=namespace, **lookup)
    return condition & in_reach(caller)


def teams_with_role(repository: Repository, roles: Collection[str] = ROLES) -> set[int]:
    """Return the ids of the teams of its organisation that have one of these roles in the repository."""
    grants = TeamGrant.objects.filter(team__organization__namespace=repository.namespace_id, role__in=roles)
    return {
        grant.team_id
        for grant in grants
        if TeamRole(grant.type, grant.pattern, grant.role).covers(repository.type, repository.name)
    }
