"""Likes and follows in the domain: in the export of a person, and gone with their account."""

from collections.abc import Iterable, Iterator

from django.db.models import F, Q

from features.community.models import Like
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature
from registry.models import BaseFollow, Follow, Repository, User


def _of_person(user: User) -> Iterator[tuple[str, Iterable[object]]]:
    likes = Like.objects.filter(policy.has_visible_repository(Caller(user=user)), user=user)
    yield "likes", (like.repository.full_name for like in likes.select_related("repository__namespace"))


def _forget(user: User) -> None:
    Repository.objects.filter(liked_by__user=user).update(likes=F("likes") - 1)
    Like.objects.filter(user=user).delete()
    Follow.objects.filter(Q(follower=user) | Q(namespace=user.namespace)).delete()
    BaseFollow.objects.filter(follower=user).delete()


FEATURE = Feature(personal_data=_of_person, forget=_forget)
