"""Searches of the catalogue that people keep under a name: save, list and forget them."""

from collections.abc import Iterable, Iterator

from django.db.models import QuerySet

from features.saved_searches.models import SavedSearch
from registry.kernel import policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.models import User

MAX_NAME, MAX_QUERY = 80, 2000  # characters
MAX_SEARCHES = 100  # of one person


def save(name: str, type: str, query: str, by: policy.Caller) -> tuple[SavedSearch, bool]:
    """Keep a query string of the catalogue under a name; return it, and whether it is new: the same name changes it.

    Raises ValueInvalid, and what require_person raises.
    """
    user = policy.require_person(by, "save a search", publishes=False)
    name = names.require_text(" ".join(name.split()), "name", MAX_NAME)
    if len(query) > MAX_QUERY:
        raise ValueInvalid(f"The search is {len(query):,} characters long.", fix=f"Use at most {MAX_QUERY:,}.")
    if SavedSearch.objects.filter(user=user).exclude(name=name).count() >= MAX_SEARCHES:
        raise ValueInvalid(f"You already have {MAX_SEARCHES} saved searches.", fix="Delete some first.")
    return SavedSearch.objects.update_or_create(user=user, name=name, defaults={"type": type, "query": query})


def list_saved(user: User) -> QuerySet[SavedSearch]:
    """Return the saved searches of a person, by name."""
    return SavedSearch.objects.filter(user=user).order_by("name")


def delete(number: int, by: policy.Caller) -> None:
    """Forget one of the caller's own searches; a no-op if there is none. Raises what require_person raises."""
    user = policy.require_person(by, "delete a saved search", publishes=False)
    SavedSearch.objects.filter(user=user, pk=number).delete()


def _of_person(user: User) -> Iterator[tuple[str, Iterable[object]]]:
    yield "saved-searches", list_saved(user).values("name", "type", "query", "created_at")


FEATURE = Feature(personal_data=_of_person)
