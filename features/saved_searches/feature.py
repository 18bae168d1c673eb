"""Saved searches in the domain: their part of the export of a person."""

from collections.abc import Iterable, Iterator

from features.saved_searches import verbs
from registry.kernel.seams import Feature
from registry.models import User


def _of_person(user: User) -> Iterator[tuple[str, Iterable[object]]]:
    yield "saved-searches", verbs.list_saved(user).values("name", "type", "query", "created_at")


FEATURE = Feature(personal_data=_of_person)
