"""Likes, and follows of people, organisations and base models: add, remove and list them."""

from collections.abc import Iterable, Iterator

from django.core.cache import caches
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from features.community.models import Like
from registry.kernel import policy
from registry.kernel.errors import BaseNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature
from registry.models import BaseFollow, Follow, Namespace, Repository, User
from registry.repos import bases, download_counts
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query

MANY, KEPT_SECONDS = 1_000, 60  # above MANY likes the count is cached this long
MAX_FOLLOWED = 5_000  # bases of one person
MAX_ASKED = 20  # bases that one person asks for at a time


def like(repository: Repository, by: Caller) -> bool:
    """Like a repository that the caller can see; return False if that is so already. Raises as require_person does."""
    user = policy.require_person(by, "like a repository")
    try:
        with transaction.atomic():
            Like.objects.create(repository=repository, user=user)
            _count(repository, 1)
    except IntegrityError:
        return False
    return True


def unlike(repository: Repository, by: Caller) -> bool:
    """Remove a like; return False if there is none."""
    user = policy.require_person(by, "take a like back", publishes=False)
    with transaction.atomic():
        gone, _ = Like.objects.filter(repository=repository, user=user).delete()
        if gone:
            _count(repository, -1)
    return bool(gone)


def likes(by: Caller, repository: Repository) -> bool:
    """Return whether the caller likes it."""
    return by.user is not None and Like.objects.filter(repository=repository, user=by.user).exists()


def likers(repository: Repository) -> QuerySet[Like]:
    """Return the likes of a repository by people who may sign in."""
    return Like.objects.filter(repository=repository, user__is_active=True).select_related("user")


def liked(user: User, by: Caller) -> QuerySet[Like]:
    """Return a person's likes of what the caller may see."""
    return Like.objects.filter(policy.has_listed_repository(by), user=user).select_related("repository__namespace")


def liked_count(user: User, by: Caller) -> int:
    """Return the number of those likes; a large number may be up to a minute old."""
    key = f"liked:{user.pk}:{by.user and by.user.pk}:{by.token and by.token.pk}"
    kept: int | None = caches["default"].get(key)
    if kept is None:
        kept = liked(user, by).count()
        if kept > MANY:
            caches["default"].set(key, kept, KEPT_SECONDS)
    return kept


def follow(namespace: Namespace, by: Caller) -> bool:
    """Follow a person or an organisation; return False if the caller already does. Raises ValueInvalid for oneself."""
    user = policy.require_person(by, "follow somebody")
    if user.namespace_id == namespace.pk:
        raise ValueInvalid("You cannot follow yourself.", fix="Follow somebody else.")
    _, is_new = Follow.objects.get_or_create(follower=user, namespace=namespace)
    return is_new


def unfollow(namespace: Namespace, by: Caller) -> bool:
    """Stop following; return False if the caller did not follow."""
    user = policy.require_person(by, "stop following somebody", publishes=False)
    return bool(Follow.objects.filter(follower=user, namespace=namespace).delete()[0])


def follows(by: Caller, namespace: Namespace) -> bool:
    """Return whether the caller follows that person or organisation."""
    return by.user is not None and Follow.objects.filter(follower=by.user, namespace=namespace).exists()


def followers(namespace: Namespace) -> QuerySet[Follow]:
    """Return who follows a person or an organisation."""
    return Follow.objects.filter(namespace=namespace, follower__is_active=True).select_related("follower")


def following(user: User) -> QuerySet[Follow]:
    """Return whom a person follows."""
    return Follow.objects.filter(follower=user).select_related("namespace__person", "namespace__organization")


def follow_base(name: str, by: Caller) -> str:
    """Follow a base model by any of its names; return its id. Raises BaseNotFound, ValueInvalid.

    Raises as require_person does, too.
    """
    user = policy.require_person(by, "follow a base model")
    return _follow(_find_base(name, by), user)


def _follow(base: str, user: User) -> str:
    rows = BaseFollow.objects.filter(follower=user)
    if not rows.filter(base=base).exists():
        if rows.count() >= MAX_FOLLOWED:
            raise ValueInvalid(f"You already follow {MAX_FOLLOWED:,}, the limit.", fix="Unfollow some first.")
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

    Nothing here needs to name it: so the answer says of no base whether a private adapter does. To stop following it
    takes the request back. Raises ValueInvalid if it is there, for what is no id, and for too many at a time. Raises as
    require_person does, too.
    """
    user = policy.require_person(by, "ask for a base model")
    held = bases.find_base(name)
    if held is not None and held.has_weights:
        raise ValueInvalid(f"{held.id} is already available on this hub.", fix="Push an adapter for it.")
    if not bases.is_id(name):
        raise ValueInvalid(f"{name[:200]!r} is not a model ID.", fix="Write it as namespace/name.")
    base = held.id if held else bases.canonical_name(name)
    asked = BaseFollow.objects.filter(follower=user, asked_at__isnull=False).exclude(base=base)
    if asked.count() >= MAX_ASKED:
        raise ValueInvalid(
            f"You have already requested {MAX_ASKED} base models.", fix="Withdraw one of your requests first."
        )
    _follow(base, user)
    BaseFollow.objects.filter(follower=by.user, base=base, asked_at__isnull=True).update(asked_at=Now())
    return base


def followed_bases(user: User) -> QuerySet[BaseFollow]:
    """Return the bases that a person follows."""
    return BaseFollow.objects.filter(follower=user).order_by("base")


def _find_base(name: str, by: Caller) -> str:
    """Return the id of a base that is here, or that an adapter names which the caller may see."""
    if held := bases.find_base(name):
        return held.id
    base = bases.canonical_name(name)
    if not catalog.matching_repositories(by, Query(base=[base])).exists():
        raise BaseNotFound(f"Unknown base model {name!r}: no adapter here uses it, and it is not in the base cache.")
    return base


def _count(repository: Repository, change: int) -> None:
    trend = change * download_counts.LIKE * download_counts.download_weight()
    Repository.objects.filter(pk=repository.pk).update(
        likes=F("likes") + change, trending=Greatest(F("trending") + trend, 0.0)
    )
    repository.likes += change


def _of_person(user: User) -> Iterator[tuple[str, Iterable[object]]]:
    rows = Like.objects.filter(policy.has_visible_repository(Caller(user=user)), user=user)
    yield "likes", (row.repository.full_name for row in rows.select_related("repository__namespace"))


def _forget(user: User) -> None:
    Repository.objects.filter(liked_by__user=user).update(likes=F("likes") - 1)
    Like.objects.filter(user=user).delete()
    Follow.objects.filter(Q(follower=user) | Q(namespace=user.namespace)).delete()
    BaseFollow.objects.filter(follower=user).delete()


FEATURE = Feature(personal_data=_of_person, forget=_forget)
