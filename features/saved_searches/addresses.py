"""Saved searches for the website and REST: their checked parameters, the addresses of their list and feed."""

from dataclasses import dataclass

from django.http import QueryDict
from django.urls import reverse

from features.saved_searches import verbs
from features.saved_searches.models import SavedSearch
from hub import list_parameters
from registry.kernel.callers import Caller
from registry.kernel.errors import ValueInvalid


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved search with the paths of its list and of its Atom feed."""

    search: SavedSearch
    path: str
    feed: str


def save(name: str, type: str, query: str, by: Caller) -> tuple[SavedSearch, bool]:
    """Keep the parameters of a list under a name. Raises ValueInvalid for a wrong one, as feeds do, and what the domain
    raises.
    """
    if type not in list_parameters.ROUTES:
        raise ValueInvalid(f"Unknown type {type[:40]!r}.", fix=f"Use one of {', '.join(list_parameters.ROUTES)}.")
    if len(query) > 3 * verbs.MAX_QUERY:  # as browsers escape it
        raise ValueInvalid(f"The search is {len(query):,} characters long.", fix=f"Use at most {verbs.MAX_QUERY:,}.")
    asked = list_parameters.forgiving(QueryDict(query), type)
    if asked.problems:
        raise ValueInvalid(" ".join(asked.problems))
    return verbs.save(name, type, asked.params.urlencode(), by)


def addressed(search: SavedSearch) -> Saved:
    """Return a saved search with its addresses."""
    route, tail = list_parameters.ROUTES[search.type], f"?{search.query}" if search.query else ""
    return Saved(search, reverse(route) + tail, reverse(f"{route}-feed") + tail)
