"""Find a repository by its id, or by an address that it had before it moved."""

from django.db.models import F, QuerySet

from registry.kernel import policy, refusals
from registry.kernel.errors import RepositoryMoved, RepositoryNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Base, FormerName, Namespace, Repository
from registry.sql.prepared import Prepared


def find(full_name: str, by: Caller, permission: Permission = Permission.READ, type: str = "model") -> Repository:
    """Return the repository of that id, in any case, if the caller has the permission.

    Raises RepositoryNotFound if it does not exist or the caller may not see it, and what policy.require raises.
    """
    if permission is Permission.QUARANTINE:
        policy.require_moderator(by)  # first, so that others do not learn from the refusal what exists
    repository = _REPOSITORY.first(type, *_parts(full_name))
    if repository is None:
        _ = by.roles  # the query that a private repository costs: the response time must not reveal that none exists
        raise refusals.repository_not_found(full_name)
    return policy.require(by, permission, repository, asked=full_name)


_OF_PERSON = ("password", "last_login", "created_at", "mail_alerts", "digest_hour", "digested_at")
_DEFERRED = ["namespace__created_at", *(f"namespace__person__{name}" for name in _OF_PERSON)]
_REPOSITORY = Prepared(lambda *names: _of(*names).select_related("namespace__person").defer(*_DEFERRED), str, str, str)


def find_at_address(
    full_name: str, by: Caller, permission: Permission = Permission.READ, type: str = "model"
) -> Repository:
    """Return the repository as `find` does; raise RepositoryMoved if it has another name now and the caller sees it.

    For addresses. A request that names a repository in its body asks `find`: no client follows a redirect with a body.
    """
    try:
        return find(full_name, by, permission, type=type)
    except RepositoryNotFound as missing:
        # A base keeps its name: the redirect of a former owner must not lead readers to other bytes than the base's.
        is_base = type == Repository.Type.MODEL and served_base(full_name).exists()
        repository = None if is_base else _moved(full_name, type)
        if repository is None or not policy.may_see(by, repository):
            raise missing from None
    raise RepositoryMoved(
        f"{full_name} is now {repository.full_name}.", full_name=repository.full_name, asked=full_name
    )


def find_by_any_name(full_name: str, by: Caller, permission: Permission, type: str = "model") -> Repository:
    """Return the repository as `find_at_address` does, also by a former name: for clients that follow no redirect."""
    try:
        return find_at_address(full_name, by, permission, type)
    except RepositoryMoved as moved:
        return find(str(moved.facts["full_name"]), by, permission, type)


def named(full_name: str, type: str) -> QuerySet[Repository]:
    """Return the query for the repository of that id, without asking who may see it."""
    return _of(type, *_parts(full_name))


def served_base(full_name: str) -> QuerySet[Base]:
    """Return the query for the base of the base cache with that id, if its files are served by its name."""
    rows = Base.objects.filter(id__lower=full_name.lower(), served_files__isnull=False)
    return rows if full_name.isascii() else rows.none()


def is_served_base(full_name: str) -> bool:
    """Return whether `served_base` has a row."""
    return full_name.isascii() and served_base(full_name.lower()).exists()


def named_or_binned(full_name: str, type: str) -> QuerySet[Repository]:
    """Return the repository of that id and those in the bin that had it, newest first, for moderators."""
    namespace, name = _parts(full_name)
    rows = Repository.with_binned.filter(type=type, namespace__name__lower=namespace, name__lower=name)
    return rows.select_related("namespace__person").order_by(F("binned_at").desc(nulls_first=True))


def status_of(repository: Repository) -> str:
    """Return the strictest state that its owner gave to a repository as a whole: archived, deprecated, or active."""
    if repository.is_archived:
        return "archived"
    return "deprecated" if repository.is_deprecated else "active"


def _parts(full_name: str) -> tuple[str, str]:
    # Names are ASCII, but the sign for kelvin is a k in lower case: pages would lead from that spelling to itself.
    namespace, _, name = full_name.lower().partition("/") if full_name.isascii() else ("", "", "")
    return namespace, name


def _of(type: str, namespace: str, name: str) -> QuerySet[Repository]:
    return Repository.objects.filter(type=type, namespace__name__lower=namespace, name__lower=name)


# --- former names
def _moved(full_name: str, type: str) -> Repository | None:
    return _renamed(full_name, type) or _of_renamed(full_name, type)


def _renamed(full_name: str, type: str) -> Repository | None:
    rows = FormerName.objects.filter(type=type, full_name=full_name.lower(), repository__binned_at__isnull=True)
    former = rows.select_related("repository__namespace__person", "repository__created_by").first()
    return former.repository if former else None


def _of_renamed(full_name: str, type: str) -> Repository | None:
    """Return the repository whose organisation had that name, even if the repository moved afterwards."""
    owner, _, name = full_name.lower().partition("/")
    new_owner = Namespace.objects.filter(former__name=owner).first()
    if new_owner is None:
        return None
    rows = Repository.objects.filter(type=type, namespace=new_owner, name__lower=name).select_related(
        "namespace__person"
    )
    # Both are asked: the response time must not reveal which exists.
    current, renamed = rows.first(), _renamed(f"{new_owner.name}/{name}", type)
    return current or renamed
