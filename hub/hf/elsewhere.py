"""Places besides this hub where a repository may be: what features bring to the routes that read."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponseBase

from hub.hf.shapes import JSON
from registry.models import Revision

if TYPE_CHECKING:
    from hub.hf.dialect import Route


class Elsewhere:
    """One such place; its records here are repositories with a `source`."""

    def answer(
        self, route: "Route", request: HttpRequest, full_name: str, where: Mapping[str, str]
    ) -> HttpResponseBase | None:
        """Answer a route for a repository that is not here; None where there is no such repository either.

        `where` is the rest of the address. Raises what the route may raise.
        """
        raise NotImplementedError

    def refresh(self, full_name: str, type: str) -> None:
        """Ask whether the record of a repository is still what is there."""
        raise NotImplementedError

    def last_changes(self, revision: Revision, paths: Iterable[str]) -> dict[str, JSON]:
        """Return path → the commit that changed it last there, of those that are known."""
        raise NotImplementedError


places: list[Elsewhere] = []
