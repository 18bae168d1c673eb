"""The menus of the site, and the places where features join its pages: routes, links, panels, and lists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hub.site.visitor import caller
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Namespace


@dataclass(frozen=True, slots=True)
class Link:
    """A page in a menu: of the site, or of a frame, where it is an entry or one page of an entry (`group`)."""

    # "main", "person", "staff", "administration", "footer"; "upload" and "create", where that is offered; of a frame:
    # "settings", "repository", "organization", "moderation", "status"
    menu: str
    route: str  # the name of its route; in the frames of a repository and an organisation it takes the subject
    title: str | Promise
    summary: str | Promise = ""
    key: str = ""  # that opens it after g; in the main menu
    place: int = 50  # in the menu of a frame; the lowest is first
    group: str | Promise = ""  # the title of the entry that it shares with others; "": an entry of its own
    pages: tuple[str, ...] = ()  # names of other routes that belong to it
    may: Callable[[Caller], bool] = lambda by: True  # who sees it
    words: str = ""  # by which people look for it, beside those of its title


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
    """Everything that one feature adds to the website."""

    routes: Iterable[URLPattern | URLResolver] = ()
    links: tuple[Link, ...] = ()
    panels: tuple[Panel, ...] = ()
    # The answer of /join to the secret of an invitation; None if the secret is not of this feature.
    joins: Callable[[HttpRequest, str], HttpResponse | None] = lambda request, secret: None
    lists: tuple[NamespaceList, ...] = ()
    # The English texts that each of its scripts shows.
    scripts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


TOKENS, PEOPLE, RULES, SITE = _("Tokens and webhooks"), _("People"), _("Rules"), _("Site")
OF_CORE = (
    Link("settings", "profile", _("Profile"), place=10),
    Link("settings", "account", _("Account"), place=15),
    Link("settings", "security", _("Security"), place=20, pages=("password",)),
    Link("settings", "tokens", _("Access tokens"), place=30, group=TOKENS),
    Link("settings", "organizations", _("Organisations"), place=60),
    Link("settings", "usage", _("Storage"), place=70, pages=("restore", "purge")),
    Link("repository", "repository-settings", _("General"), place=10),
    Link("repository", "access", _("Access"), place=20),
    Link("organization", "organization-settings", _("Members"), place=10, group=_("Members")),
    Link("organization", "organization-details", _("General"), place=5),
    Link("organization", "organization-usage", _("Storage"), place=70),
    Link("moderation", "join-links", _("Invitation links"), place=45, group=PEOPLE, may=policy.is_hub_admin),
)
mounted: list[Pages] = []


def links(menu: str) -> list[Link]:
    """Return the links that features add to a menu."""
    return [link for pages in mounted for link in pages.links if link.menu == menu]


@dataclass(slots=True)
class Entry:
    """A line in the menu of a frame, with its pages: several where it is a group."""

    title: str
    address: str
    pages: "list[Entry]" = field(default_factory=list)
    is_open: bool = False


def frame_menu(request: HttpRequest, name: str, *subject: object) -> list[Entry]:
    """Return the entries of a frame as the caller sees them; the one whose page is asked for is open."""
    by = caller(request)
    shown = [link for link in (*OF_CORE, *links(name)) if link.menu == name and link.may(by)]
    shown.sort(key=lambda link: link.place)
    addresses = {link: reverse(link.route, args=subject) for link in shown}
    asked = request.resolver_match.url_name if request.resolver_match else ""

    def nearness(link: Link) -> int:
        """Tell how much of the address that is asked for belongs to a link; 0 for nothing of it."""
        if asked in link.pages:
            return len(request.path)
        address = addresses[link]
        return len(address) if f"{request.path}/".startswith(f"{address}/") else 0

    nearest = max(shown, key=nearness)
    entries: dict[str, Entry] = {}
    for link in shown:
        page = Entry(str(link.title), addresses[link], is_open=link is nearest and nearness(link) > 0)
        entry = entries.setdefault(str(link.group or link.title), Entry(str(link.group or link.title), page.address))
        entry.pages.append(page)
        entry.is_open |= page.is_open
    for entry in entries.values():
        if len(entry.pages) == 1:
            entry.title = entry.pages[0].title
    return list(entries.values())


def panels(spot: str) -> list[Panel]:
    """Return the panels that features add at a spot."""
    return [panel for pages in mounted for panel in pages.panels if panel.spot == spot]


def lists() -> list[NamespaceList]:
    """Return the lists that features add to the page of a person or an organisation."""
    return [each for pages in mounted for each in pages.lists]
