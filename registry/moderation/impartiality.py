"""Nobody judges their own matter: a moderator neither closes a case about what is theirs nor releases it.

Administrators of the hub may: a small hub has nobody else.
"""

from registry.kernel import policy
from registry.kernel.callers import Caller
from registry.kernel.errors import NotAllowed
from registry.models import Case, Membership, Repository
from registry.moderation import targets

IN_REPOSITORY = frozenset({Case.Target.REPOSITORY, Case.Target.REVISION, Case.Target.FILE})


def require_for_case(by: Caller, case: Case) -> None:
    """Raise NotAllowed for a moderator who wrote what a case is about, may write there, or administers it."""
    is_author = targets.responsible(case) == by.user
    repository: Repository | None = case.repository if case.target in IN_REPOSITORY else None
    is_writer = repository is not None and policy.may_write(by, repository)
    organization = case.namespace_id if case.target == Case.Target.ORGANIZATION else None
    administers = organization is not None and by.roles.get(organization) == Membership.Role.ADMIN
    if (is_author or is_writer or administers) and not policy.is_hub_admin(by):
        raise _own_matter(f"Case {case.pk}")


def require_for_repository(by: Caller, repository: Repository) -> None:
    """Raise NotAllowed for a moderator who may write to the repository."""
    if policy.may_write(by, repository) and not policy.is_hub_admin(by):
        raise _own_matter(repository.full_name)


def _own_matter(name: str) -> NotAllowed:
    return NotAllowed(f"{name} is a matter of your own, which you cannot decide.", fix="Ask another moderator.")
