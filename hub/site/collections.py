"""Collections as pages: the list of them, one with what is in it, and the forms that make, fill and order it."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from hub.errors import status_with
from hub.site.lines import line
from hub.site.visitor import caller, owners, person
from registry.kernel import ids
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Collection, Membership
from registry.repos import catalog
from registry.talk import collections
from registry.talk.collections import Change

PAGE = 30
WRITERS = (Membership.Role.WRITE, Membership.Role.ADMIN)


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """Newest change first; `owner` narrows it down."""
    owners = request.GET.getlist("owner")
    page = collections.page(caller(request), owners=owners, cursor=request.GET.get("cursor", ""), limit=PAGE)
    query = request.GET.copy()
    query["cursor"] = page.next
    shown = {"rows": page.items, "owners": owners, "next": f"?{query.urlencode()}" if page.next else ""}
    return render(request, "site/collections.html", shown)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new one, of oneself or of an organisation that one writes in."""
    user, error = person(request), None
    if request.method == "POST":
        given = request.POST
        try:
            made = collections.create(
                given.get("owner") or user.username,
                given.get("title", ""),
                caller(request),
                description=given.get("description", ""),
                private=given.get("visibility") == "private",
            )
            return redirect(made)
        except RegistryError as refused:
            error = refused
    shown = {
        "owners": owners(user, WRITERS),
        "given": request.POST or {"owner": request.GET.get("owner", "")},
        "error": error,
    }
    return render(request, "site/collection_new.html", shown, status=status_with(error))


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    """What is in it; POST does what the button says, for who may."""
    by, error = caller(request), None
    if request.method == "POST":
        person(request)
        found = collections.find(f"{ns}/{slug}", by, to_change=True)
        try:
            return HttpResponseRedirect(_do(request, found))
        except RegistryError as refused:
            error = refused
            found = collections.find(f"{ns}/{slug}", by)  # without what was refused
    else:
        found = collections.find(f"{ns}/{slug}", by)
    address = found.slug
    if address != f"{ns}/{slug}" and error is None:
        return redirect(found)
    shown = {"collection": found, "entries": _entries(found, by), "error": error}
    shown |= {"may_change": by.roles.get(found.namespace_id) in WRITERS, "given": request.POST}
    return render(request, "site/collection.html", shown, status=status_with(error))


def _entries(found: Collection, by: Caller) -> list[dict[str, object]]:
    items = collections.items(found, by)
    verdicts = catalog.newest_verdicts([item.repository for item in items if item.repository])
    return [
        {
            "item": item,
            "line": line(item.repository, verdicts.get(item.repository.pk)) if item.repository else None,
        }
        for item in items
    ]


def _do(request: HttpRequest, found: Collection) -> str:
    """Do what the button says; return the address to go to."""
    given, by = request.POST, caller(request)
    item = ids.row(given.get("item", ""))
    match given.get("do"):
        case "add":
            collections.add(found, *_named(given.get("name", "")), by, note=given.get("note", ""))
        case "note":
            collections.change_item(found, item, note=given.get("note", ""))
        case "first":
            collections.change_item(found, item, position=0)
        case "remove":
            collections.remove(found, item)
        case "change":
            title, description = given.get("title", ""), given.get("description", "")
            wanted = Change(title, description, private=given.get("visibility") == "private")
            found = collections.change(found, wanted)
        case "delete":
            collections.delete(found, by)
            return f"{reverse('collections')}?{urlencode({'owner': found.namespace.name})}"
        case _:
            raise ValueInvalid("The form does not say what to do.", fix="Use the buttons of the page.")
    return found.get_absolute_url()


def _named(text: str) -> tuple[str, str]:
    """What is to be put in, as its address here says it: ns/name, datasets/ns/name, spaces/…, collections/…"""
    name = text.strip().strip("/")
    kind, _, rest = name.partition("s/")
    return (kind, rest) if kind in {"dataset", "space", "collection"} else ("model", name)
