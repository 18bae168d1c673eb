"""Watches of repositories: set, end and list them; alerts/events.py alerts of them."""

from django.db.models import QuerySet

from registry.kernel import policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Repository, RepositoryWatch, User
from registry.talk import social

Level = RepositoryWatch.Level


def watch(repository: Repository, level: str, by: Caller) -> bool:
    """Watch a repository that the caller can see; return whether that changed anything. Raises ValueInvalid.

    Raises as require_person does, too.
    """
    user = policy.require_person(by, "watch a repository")
    if level not in Level.values:
        raise ValueInvalid(f"There is no level {level[:40]!r}.", fix=f"Use one of {', '.join(Level.values)}.")
    rows = RepositoryWatch.objects.filter(user=user)
    if rows.filter(repository=repository).exclude(level=level).update(level=level):
        return True
    social.require_room(rows)
    return RepositoryWatch.objects.get_or_create(repository=repository, user=user, defaults={"level": level})[1]


def unwatch(repository: Repository, by: Caller) -> bool:
    """Stop watching, or ignoring; return False if the caller did neither."""
    user = policy.require_person(by, "stop watching a repository")
    return bool(RepositoryWatch.objects.filter(repository=repository, user=user).delete()[0])


def level_of(by: Caller, repository: Repository) -> str:
    """Return the level at which the caller watches, or ""."""
    if by.user is None:
        return ""
    rows = RepositoryWatch.objects.filter(repository=repository, user=by.user)
    return rows.values_list("level", flat=True).first() or ""


def watched(user: User) -> QuerySet[RepositoryWatch]:
    """Return what a person watches or ignores and may still see, newest first."""
    rows = RepositoryWatch.objects.filter(policy.has_listed_repository(Caller(user=user)), user=user)
    return rows.select_related("repository__namespace").order_by("-pk")
