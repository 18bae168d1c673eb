"""The places on the core's pages where features join them: routes, links in a menu, panels, and lists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.functional import Promise

from registry.kernel.policy import Caller
from registry.models import Namespace


@dataclass(frozen=True, slots=True)
class Link:
    """A page of a feature in the menu of a core page."""

    menu: str  # "main", "person", "settings", "footer", "moderation"
    route: str  # the name of its route
    title: str | Promise
    summary: str | Promise = ""
    key: str = ""  # that opens it after g; in the main menu


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a core page: a template, shown where `context` gives it something to show."""

    spot: str  # the name in {% panels %} of the core's template
    template: str
    context: Callable[[Mapping[str, Any]], Mapping[str, object] | None] = lambda page: {}  # from the page's context


@dataclass(frozen=True, slots=True)
class NamespaceList:
    """A list on the page of a person or an organisation, as far as a caller sees it; left out where it is empty."""

    name: str  # in the address, and on its tab
    count: Callable[[Namespace, Caller], tuple[int, bool]]  # up to a limit; and whether there are more
    rows: Callable[[HttpRequest, Namespace, Caller], Mapping[str, object]]  # what the template shows: rows, next
    template: str
    of_people_alone: bool = False


@dataclass(frozen=True, slots=True)
class Pages:
    """What one feature adds to the website."""

    routes: Iterable[URLPattern] = ()
    links: tuple[Link, ...] = ()
    panels: tuple[Panel, ...] = ()
    # What /join answers to the secret of an invitation, None for one that is not of this feature.
    joins: Callable[[HttpRequest, str], HttpResponse | None] = lambda request, secret: None
    lists: tuple[NamespaceList, ...] = ()


mounted: list[Pages] = []


def links(menu: str) -> list[Link]:
    """Return the links that features add to a menu."""
    return [link for pages in mounted for link in pages.links if link.menu == menu]


def panels(spot: str) -> list[Panel]:
    """Return the panels that features add at a spot."""
    return [panel for pages in mounted for panel in pages.panels if panel.spot == spot]


def lists() -> list[NamespaceList]:
    """Return the lists that features add to the page of a person or an organisation."""
    return [each for pages in mounted for each in pages.lists]
