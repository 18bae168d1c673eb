"""The repositories that a role covers, as conditions for lists, which agree with Caller.role_in for one repository.

The patterns of teams become conditions on the name, beside those on the namespace: lists scan and count as they did,
without a join, and a repository that is created, renamed, moved or restored is covered by its name at once.
"""

from collections.abc import Collection

from django.db.models import Q

from registry.kernel.callers import Caller, TeamRole
from registry.models import Membership, Repository, TeamGrant

Role = Membership.Role
ROLES = frozenset({Role.READ, Role.CONTRIBUTOR, Role.WRITE, Role.ADMIN})  # that open a repository
WRITERS = frozenset({Role.WRITE, Role.ADMIN})  # that push to every repository they cover


def in_reach(caller: Caller, roles: Collection[str] = ROLES) -> Q:
    """Return the condition that the person has one of these roles in a repository, by membership or by a team.

    What the person's token allows does not count here.
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
