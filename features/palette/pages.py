"""Suggestions of the search field: the rows of `search/suggestions`, and the list that shows them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.site import documentation, panels
from hub.site.panels import Pages, Panel
from hub.site.routing import at
from hub.site.visitor import caller
from registry.kernel.policy import Caller
from registry.repos.lists import catalog, search
from registry.repos.lists.catalog import Query

LONGEST = 200  # characters, as the field takes
MOST = 6  # rows of one kind
OWN = 4  # of one's own adapters, before anything is typed
MOST_SECTIONS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One suggestion; `names` are what it is called, by which it is ranked."""

    title: str
    address: str
    note: str | Promise = ""
    is_verified: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deed:
    """A page that people go to in order to do something; `words` are other names for it."""

    title: str | Promise
    route: str
    words: str = ""


FOR_ALL = (
    Deed(_("Adapters"), "adapters", "catalogue models"),
    Deed(_("Base models"), "bases"),
    Deed(_("Documentation"), "docs", "help guide"),
    Deed(_("Datasets"), "datasets"),
)
FOR_STRANGERS = (Deed(_("Sign in"), "login", "login"), Deed(_("Join"), "join", "register sign up"))
FOR_PEOPLE = (
    Deed(_("Access tokens"), "tokens", "key secret api"),
    Deed(_("Profile"), "profile", "name picture avatar"),
    Deed(_("Account"), "account", "email e-mail delete export"),
    Deed(_("Security"), "security", "password passkey sessions two-factor 2fa"),
    Deed(_("Organisations"), "organizations", "invitations"),
    Deed(_("New organisation"), "new-organization", "create"),
)


@require_safe
def suggestions(request: HttpRequest) -> HttpResponse:
    """Show the likeliest rows of each kind, exact names first; without words, one's own adapters and the deeds."""
    by, words = caller(request), request.GET.get("q", "").strip()[:LONGEST]
    groups = _found(by, words) if words else _first(by)
    shown = {"groups": groups, "words": words, "count": sum(len(rows) for _title, rows in groups)}
    return render(request, "palette/rows.html", shown)


Groups = list[tuple[str | Promise, list[Row]]]


def _first(by: Caller) -> Groups:
    """Return what is offered before anything is typed."""
    own = catalog.search(by, Query(author=[by.user.username]), limit=OWN, with_verdicts=False).items if by.user else ()
    adapters = [Row(row.full_name, row.get_absolute_url(), row.base.rpartition("/")[2], row.is_verified) for row in own]
    go_to = [Row(str(deed.title), reverse(deed.route)) for deed in deeds(by)]
    return [(title, rows) for title, rows in ((_("Your adapters"), adapters), (_("Go to"), go_to[:MOST])) if rows]


def _found(by: Caller, words: str) -> Groups:
    """Return the rows that have the words, the kind with the nearest name first."""
    found = search.find(by, Query(q=words), limit=MOST, with_verdicts=False)
    adapters = [
        Row(
            row.full_name,
            row.get_absolute_url(),
            row.base.rpartition("/")[2],
            row.is_verified,
            (row.full_name, row.name),
        )
        for row in found.adapters.items
    ]
    bases = [
        Row(base.id, reverse("base", args=[base.id]), names=(base.id, base.id.split("/")[-1])) for base in found.bases
    ]
    owners = [
        Row(owner.name, owner.get_absolute_url(), search.full_name(owner), names=(owner.name, search.full_name(owner)))
        for owner in found.owners
    ]
    named = [
        Row(str(deed.title), reverse(deed.route), names=(str(deed.title), *deed.words.split()))
        for deed in deeds(by)
        if _has(f"{deed.title} {deed.words}", words)
    ]
    hits = [hit.section for hit in documentation.search_docs(words).hits]
    sections = [
        Row(each.heading, reverse("docs-page", args=[each.page]) + f"#{each.anchor}", each.title)
        for each in hits
        if _has(each.heading, words)
    ]
    groups: Groups = [
        (_("Adapters"), adapters),
        (_("Base models"), bases),
        (_("People and organisations"), owners),
        (_("Pages"), sorted(named, key=lambda row: _distance(row, words))[:MOST]),
        (_("Documentation"), sections[:MOST_SECTIONS]),
    ]
    return sorted(
        ((title, rows) for title, rows in groups if rows),
        key=lambda group: min(_distance(row, words) for row in group[1]),
    )


def _has(text: str, words: str) -> bool:
    return all(word in text.casefold() for word in words.casefold().split())


def _distance(row: Row, words: str) -> int:
    """Return 0 where a name is what was typed, 1 where one begins with it, else 2."""
    typed = words.casefold()
    names = [name.casefold() for name in row.names]
    return 0 if typed in names else 1 if any(name.startswith(typed) for name in names) else 2


def deeds(by: Caller) -> Iterator[Deed]:
    """Yield the pages that a caller may open, those of people first."""
    if by.user is None:
        yield from (*FOR_ALL, *FOR_STRANGERS, *_linked("main", "footer"))
        return
    person = _linked("person")
    settings = [deed for deed in _linked("settings") if deed.route not in {own.route for own in person}]
    yield from (*_linked("upload"), FOR_PEOPLE[0], *person, *FOR_ALL, *FOR_PEOPLE[1:])
    yield from (*_linked("main", "footer"), *settings)
    if by.is_staff:
        yield from _linked("staff")
    if by.user.is_staff:
        yield from _linked("administration")


def _linked(*menus: str) -> list[Deed]:
    return [Deed(link.title, link.route, link.words) for menu in menus for link in panels.links(menu)]


PAGES = Pages(
    routes=[at("search/suggestions", suggestions, "suggestions")],
    panels=(Panel("find", "palette/list.html"), Panel("keys", "palette/keys.html")),
)
