"""Collections as pages: the list of them, one with its entries, and the forms that create, fill and order it."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site.catalogue.list_rows import row_of
from hub.site.forms import Form, posted, status_of
from hub.site.forms.collections import AddItem, CollectionDetails, NewCollection, Note
from hub.site.visitor import caller, owners, person
from registry.kernel.policy import Caller
from registry.models import Collection, Membership
from registry.repos.lists import catalog
from registry.talk import collections
from registry.talk.collections import Change

PAGE = 30
WRITERS = (Membership.Role.WRITE, Membership.Role.ADMIN)


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """Show the newest change first; `owner` in the query narrows the list down."""
    owners = request.GET.getlist("owner")
    page = collections.page(caller(request), owners=owners, cursor=request.GET.get("cursor", ""), limit=PAGE)
    query = request.GET.copy()
    query["cursor"] = page.next
    context = {"rows": page.items, "owners": owners, "next": f"?{query.urlencode()}" if page.next else ""}
    return render(request, "site/collections.html", context)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Create a collection, of the person or of an organisation that they write in."""
    names = owners(person(request), WRITERS)
    initial = {"owner": request.GET.get("owner", "")}
    form = NewCollection(posted(request), owners=names, initial=initial)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            is_private = given["visibility"] == "private"
            return redirect(
                collections.create(
                    given["owner"], given["title"], caller(request),
                    description=given["description"], private=is_private,
                )
            )  # fmt: skip
    return render(request, "site/collection_new.html", {"form": form}, status=form.status)


@require_safe
def one(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    """Show its entries; an address with an old title leads to the one that counts."""
    collection = collections.find(f"{ns}/{slug}", caller(request))
    if collection.slug != f"{ns}/{slug}":
        return redirect(collection)
    return _page(request, collection)


@require_POST
def change(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    collection = _changed(request, ns, slug)
    form = CollectionDetails(request.POST, auto_id="details-%s")
    if form.is_valid():
        given = form.cleaned_data
        with form:
            is_private = given["visibility"] == "private"
            return redirect(
                collections.change(collection, Change(given["title"], given["description"], private=is_private))
            )
    return _page(request, collections.find(f"{ns}/{slug}", caller(request)), details=form)


@require_POST
def add(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    collection = _changed(request, ns, slug)
    form = AddItem(request.POST)
    if form.is_valid():
        kind, name = form.cleaned_data["name"]
        with form:
            collections.add(collection, kind, name, caller(request), note=form.cleaned_data["note"])
            return redirect(collection)
    return _page(request, collection, add=form)


@require_POST
def note(request: HttpRequest, ns: str, slug: str, item: int) -> HttpResponse:
    collection = _changed(request, ns, slug)
    form = Note(request.POST)
    if form.is_valid():
        with form:
            collections.change_item(collection, item, note=form.cleaned_data["note"])
            return redirect(collection)
    return _page(request, collection, note=form)


@require_POST
def move_to_top(request: HttpRequest, ns: str, slug: str, item: int) -> HttpResponse:
    collection = _changed(request, ns, slug)
    with (form := Form(request.POST)):
        collections.change_item(collection, item, position=0)
        return redirect(collection)
    return _page(request, collection, note=form)


@require_POST
def remove(request: HttpRequest, ns: str, slug: str, item: int) -> HttpResponse:
    collection = _changed(request, ns, slug)
    with (form := Form(request.POST)):
        collections.remove(collection, item)
        return redirect(collection)
    return _page(request, collection, note=form)


@require_POST
def delete(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    collection = _changed(request, ns, slug)
    collections.delete(collection, caller(request))
    return redirect(f"{reverse('collections')}?{urlencode({'owner': collection.namespace.name})}")


def _changed(request: HttpRequest, ns: str, slug: str) -> Collection:
    """Return the collection that a form changes. Raises what collections.find raises for who may not."""
    person(request)
    return collections.find(f"{ns}/{slug}", caller(request), to_change=True)


def _page(request: HttpRequest, collection: Collection, **tried: Form) -> HttpResponse:
    """Show a collection with its forms; `tried` is the one that was refused."""
    by = caller(request)
    shown = {"title": collection.title, "description": collection.description}
    shown["visibility"] = "private" if collection.private else "public"
    forms: dict[str, Form] = {"details": CollectionDetails(initial=shown, auto_id="details-%s"), "add": AddItem()}
    context = {
        "collection": collection,
        "entries": _entries(collection, by),
        "may_change": by.roles.get(collection.namespace_id) in WRITERS,
        "forms": forms | tried,
    }
    return render(request, "site/collection.html", context, status=status_of(tried))


def _entries(collection: Collection, by: Caller) -> list[dict[str, object]]:
    items = collections.items(collection, by)
    verdicts = catalog.listed_verdicts([item.repository for item in items if item.repository])
    return [
        {
            "item": item,
            "row": row_of(item.repository, verdicts.get(item.repository.pk)) if item.repository else None,
        }
        for item in items
    ]
