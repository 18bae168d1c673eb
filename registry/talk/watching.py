"""Watches of repositories, and follows of base models: set, end and list them; alerts/events.py alerts of them."""

from django.db.models import QuerySet
from django.db.models.functions import Now

from registry.kernel import policy
from registry.kernel.errors import BaseNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Base, BaseFollow, Repository, RepositoryWatch, User
from registry.repos import bases
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query

Level = RepositoryWatch.Level
MAX_WATCHED = 5_000  # repositories, and bases, of one person


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
    _check_count(rows)
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


def follow_base(name: str, by: Caller) -> str:
    """Follow a base model by any of its names; return its id. Raises BaseNotFound, ValueInvalid.

    Raises as require_person does, too.
    """
    user = policy.require_person(by, "follow a base model")
    base = _find(name, by)
    rows = BaseFollow.objects.filter(follower=user)
    if not rows.filter(base=base).exists():
        _check_count(rows)
        BaseFollow.objects.get_or_create(follower=user, base=base)
    return base


def unfollow_base(name: str, by: Caller) -> str:
    """Stop following a base model, and return its id."""
    user = policy.require_person(by, "stop following a base model")
    base = bases.canonical_name(name)
    BaseFollow.objects.filter(follower=user, base__in={name, base}).delete()
    return base


def follows_base(by: Caller, base: str) -> bool:
    """Return whether the caller follows the base of this id."""
    return by.user is not None and BaseFollow.objects.filter(follower=by.user, base=base).exists()


def ask_for_base(name: str, by: Caller) -> str:
    """Ask the administrators for a base that is not in the base cache, and follow it; return its id.

    To stop following it takes the request back. Raises as follow_base does, and ValueInvalid if it is there.
    """
    held = bases.find_base(name)
    if held is not None and held.has_weights:
        raise ValueInvalid(f"{held.id} is in the base cache already.", fix="Push an adapter that names it.")
    base = follow_base(name, by)
    BaseFollow.objects.filter(follower=by.user, base=base, asked_at__isnull=True).update(asked_at=Now())
    return base


def asking_for(base: str) -> list[str]:
    """Return the names of the people who ask for a base, the first first."""
    rows = BaseFollow.objects.filter(base=base, asked_at__isnull=False, follower__is_active=True)
    return list(rows.order_by("asked_at", "pk").values_list("follower__username", flat=True))


def bases_asked_for() -> dict[str, list[str]]:
    """Return the bases that people ask for and that are not in the base cache → these people, the most asked first."""
    held = Base.objects.filter(has_weights=True).values("id")
    rows = BaseFollow.objects.filter(asked_at__isnull=False, follower__is_active=True).exclude(base__in=held)
    wanted: dict[str, list[str]] = {}
    for base, person in rows.order_by("asked_at", "pk").values_list("base", "follower__username"):
        wanted.setdefault(base, []).append(person)
    return dict(sorted(wanted.items(), key=lambda item: -len(item[1])))


def followed_bases(user: User) -> QuerySet[BaseFollow]:
    """Return the bases that a person follows."""
    return BaseFollow.objects.filter(follower=user).order_by("base")


def _find(name: str, by: Caller) -> str:
    """Return the id of a base that is here, or that an adapter names which the caller may see."""
    if held := bases.find_base(name):
        return held.id
    base = bases.canonical_name(name)
    if not catalog.matching_repositories(by, Query(base=[base])).exists():
        raise BaseNotFound(f"No adapter here names the base {name!r}, and it is not in the base cache.")
    return base


def _check_count(rows: QuerySet[RepositoryWatch] | QuerySet[BaseFollow]) -> None:
    if rows.count() >= MAX_WATCHED:
        raise ValueInvalid(f"You have {MAX_WATCHED:,} of these already.", fix="End some of them first.")
