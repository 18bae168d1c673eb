"""Collections as pages: the list of them, one with its entries, and the forms that create, fill and order it."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from features.collections import verbs
from features.collections.models import Collection
from features.collections.verbs import Change, CollectionExists, ItemExists
from hub.site import routing
from hub.site.forms import Form, Given, Option, Owned, Posts, Refusals, posted, status_of, text_field, visibility_field
from hub.site.lists import row_of
from hub.site.organization.namespace import counted
from hub.site.panels import Link, Pages, Panel
from hub.site.visitor import caller, owners, person
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Membership
from registry.repos.lists import catalog

PAGE = 30
WRITERS = (Membership.Role.WRITE, Membership.Role.ADMIN)


SEEN_BY = (Option(_("Everybody")), Option(_("Only you and members")))


class NewCollection(Owned):
    title = text_field(_("Title"), maxlength=120)
    description = text_field(_("What it holds"), _("One line. Optional."), required=False, maxlength=500)
    visibility = visibility_field(_("Who may see it"), *SEEN_BY)
    fields_of: ClassVar[Refusals] = {CollectionExists: "title", ValueInvalid: "title"}


class CollectionDetails(NewCollection):
    """The fields of a collection that its owners change; the owner stays."""

    owner = None  # type: ignore[assignment]  # Django's way to leave a field of a parent out
    visibility = visibility_field(_("Who may see it"), *SEEN_BY, must_answer=True)

    def __init__(self, *args: Any, **options: Any) -> None:
        Form.__init__(self, *args, **options)

    def clean(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


class AddItem(Form):
    name = text_field(
        _("Add"),
        _("An adapter; or `datasets/…`, `spaces/…`, `collections/…` as in its address."),
        maxlength=300,
        placeholder="acme/reviews-lora",
        spellcheck="false",
    )
    note = text_field(_("Note"), required=False, maxlength=500)
    fields_of: ClassVar[Refusals] = {RegistryError: "name"}

    def clean_name(self) -> tuple[str, str]:
        """Return the kind and the name of what its address here says: ns/name, datasets/ns/name, collections/…"""
        typed: str = self.cleaned_data["name"].strip("/")
        kind, _, rest = typed.partition("s/")
        return (kind, rest) if kind in {"dataset", "space", "collection"} else ("model", typed)


class Note(Form):
    note = forms.CharField(required=False)
    fields_of: ClassVar[Refusals] = {ItemExists: "note", ValueInvalid: "note"}


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """Show the newest change first; `owner` in the query narrows the list down."""
    owners = request.GET.getlist("owner")
    page = verbs.page(caller(request), owners=owners, cursor=request.GET.get("cursor", ""), limit=PAGE)
    query = request.GET.copy()
    query["cursor"] = page.next
    context = {"rows": page.items, "owners": owners, "next": f"?{query.urlencode()}" if page.next else ""}
    return render(request, "collections/listed.html", context)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Create a collection, of the person or of an organisation that they write in."""
    names = owners(person(request), WRITERS)
    initial = {"owner": request.GET.get("owner", "")}
    form = NewCollection(posted(request), owners=names, initial=initial)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            more = {"description": given["description"], "private": given["visibility"] == "private"}
            return redirect(verbs.create(given["owner"], given["title"], caller(request), **more))
    return render(request, "collections/new.html", {"form": form}, status=form.status)


@require_safe
def one(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    """Show its entries; an address with an old title leads to the one that counts."""
    collection = verbs.find(f"{ns}/{slug}", caller(request))
    if collection.slug != f"{ns}/{slug}":
        return redirect(collection)
    return _page(request, collection)


def change(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    collection = _changed(request, ns, slug)
    form = CollectionDetails(request.POST, auto_id="details-%s")
    if form.is_valid():
        given = form.cleaned_data
        with form:
            is_private = given["visibility"] == "private"
            return redirect(verbs.change(collection, Change(given["title"], given["description"], private=is_private)))
    return _page(request, verbs.find(f"{ns}/{slug}", caller(request)), details=form)


def _changed(request: HttpRequest, ns: str, slug: str) -> Collection:
    """Return the collection that a form changes. Raises what verbs.find raises for who may not."""
    person(request)
    return verbs.find(f"{ns}/{slug}", caller(request), to_change=True)


def _page(request: HttpRequest, collection: Collection, **tried: Form) -> HttpResponse:
    """Show a collection with its forms; `tried` is the one that was refused."""
    by = caller(request)
    shown = {"title": collection.title, "description": collection.description}
    shown["visibility"] = "private" if collection.private else "public"
    shown_forms: dict[str, Form] = {"details": CollectionDetails(initial=shown, auto_id="details-%s"), "add": AddItem()}
    context = {
        "collection": collection,
        "entries": _entries(collection, by),
        "may_change": by.roles.get(collection.namespace_id) in WRITERS,
        "forms": shown_forms | tried,
    }
    return render(request, "collections/one.html", context, status=status_of(tried))


def _add(collection: Collection, given: Given, by: Caller) -> None:
    kind, name = given["name"]
    verbs.add(collection, kind, name, by, note=given["note"])


def _to_list(collection: Collection, _nothing: None) -> HttpResponse:
    return redirect(f"{reverse('collections')}?{urlencode({'owner': collection.namespace.name})}")


COLLECTION_FORMS = Posts(_changed, _page, redirect)
add = COLLECTION_FORMS.form("add", AddItem, _add)
delete = COLLECTION_FORMS.button(lambda collection, by: verbs.delete(collection, by), _to_list)


def _entry(request: HttpRequest, ns: str, slug: str, item: int) -> tuple[Collection, int]:
    return _changed(request, ns, slug), item


ENTRY_FORMS = Posts(
    _entry, lambda request, entry, **tried: _page(request, entry[0], **tried), lambda entry: redirect(entry[0])
)
note = ENTRY_FORMS.form("note", Note, lambda entry, given, by: verbs.change_item(*entry, note=given["note"]))
move_to_top = ENTRY_FORMS.form("note", Form, lambda entry, given, by: verbs.change_item(*entry, position=0))
remove = ENTRY_FORMS.form("note", Form, lambda entry, given, by: verbs.remove(*entry))


def _entries(collection: Collection, by: Caller) -> list[dict[str, object]]:
    items = verbs.items(collection, by)
    verdicts = catalog.listed_verdicts([item.repository for item in items if item.repository])
    rows = [row_of(one.repository, verdicts.get(one.repository.pk)) if one.repository else None for one in items]
    return [{"item": item, "row": row} for item, row in zip(items, rows, strict=True)]


def _tab(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the number of the visible collections of a namespace for its page; None where there is none."""
    count, is_more = counted(verbs.listed(page["request"].caller, owners=[page["namespace"].name]))
    return {"count": count, "plus": "+" if is_more else ""} if count else None


COLLECTION = "collections/<str:ns>/<str:slug>"
PAGES = Pages(
    routes=[
        routing.at("collections", listed, "collections"),
        routing.at("collections/new", new, "new-collection"),
        routing.at(COLLECTION, one, "collection"),
        *routing.forms(
            "collection",
            COLLECTION,
            ("change", change, "change-collection"),
            ("delete", delete, "delete-collection"),
            ("add", add, "add-item"),
            ("items/<int:item>/note", note, "note-item"),
            ("items/<int:item>/top", move_to_top, "move-item-to-top"),
            ("items/<int:item>/remove", remove, "remove-item"),
        ),
    ],
    links=(Link("footer", "collections", _("Collections")),),
    panels=(Panel("namespace-tabs", "collections/tab.html", _tab),),
)
