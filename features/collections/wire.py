"""Collections as the Hub's clients list, read and change them."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from features.collections import verbs
from features.collections.models import Collection, CollectionItem
from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel.errors import SignInRequired, ValueInvalid
from registry.kernel.texts import cursors

PAGE, LONGEST = 20, 100
ITEMS_IN_LISTS = 4
SORTS = {"", "lastModified", "trending", "upvotes"}  # nobody votes here, so all of them are the newest first


class Collections(Route):
    """GET and POST /api/collections"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if request.GET.get("sort", "") not in SORTS:
            raise ValueInvalid("Unknown sort order.", fix=f"Use one of {', '.join(sorted(SORTS - {''}))}.")
        limit = bodies.whole_in(request.GET, "limit", PAGE, LONGEST)
        many = request.GET.getlist
        page = verbs.page(
            self.caller, owners=many("owner"), items=many("item"), cursor=request.GET.get("cursor", ""), limit=limit
        )
        entries = verbs.items_of(page.items, self.caller)
        response = answer([listed(collection, entries[collection.pk]) for collection in page.items])
        if page.next:
            response["Link"] = bodies.next_page(request, cursor=page.next, limit=str(limit))
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Creating a collection requires a token.")
        body = bodies.json_object(request)
        collection = verbs.create(
            bodies.text(body, "namespace", self.caller.user.username),
            bodies.text(body, "title"),
            self.caller,
            description=bodies.text(body, "description", ""),
            private=bodies.truth(body.get("private")),
        )
        return answer(whole(collection, []))


class OneCollection(Route):
    """GET, PATCH and DELETE /api/collections/{ns}/{slug}"""

    def get(self, request: HttpRequest, ns: str, slug: str) -> HttpResponse:
        collection = verbs.find(f"{ns}/{slug}", self.caller)
        return answer(whole(collection, verbs.items(collection, self.caller)))

    def patch(self, request: HttpRequest, ns: str, slug: str) -> HttpResponse:
        collection = verbs.find(f"{ns}/{slug}", self.caller, to_change=True)
        body = bodies.json_object(request)
        change = verbs.Change(
            **{key: bodies.text(body, key) for key in ("title", "description", "theme") if body.get(key) is not None},
            private=bodies.truth(body["private"]) if body.get("private") is not None else None,
            position=bodies.whole(body, "position") if body.get("position") is not None else None,
        )
        verbs.change(collection, change)
        return answer({"success": True, "data": whole(collection, verbs.items(collection, self.caller))})

    def delete(self, request: HttpRequest, ns: str, slug: str) -> HttpResponse:
        verbs.delete(verbs.find(f"{ns}/{slug}", self.caller, to_change=True), self.caller)
        return answer({"success": True})


class Items(Route):
    """POST /api/collections/{ns}/{slug}/items"""

    def post(self, request: HttpRequest, ns: str, slug: str) -> HttpResponse:
        collection = verbs.find(f"{ns}/{slug}", self.caller, to_change=True)
        body = bodies.json_object(request)
        reference = body.get("item")
        if not isinstance(reference, dict):
            raise ValueInvalid("'item' must be an object.", fix='Send {"item": {"type", "id"}}.')
        kind, name = bodies.text(reference, "type"), bodies.text(reference, "id")
        verbs.add(collection, kind, name, self.caller, note=note_in(body) or "")
        return answer(whole(collection, verbs.items(collection, self.caller)))


class OneItem(Route):
    """PATCH and DELETE /api/collections/{ns}/{slug}/items/{id}"""

    def patch(self, request: HttpRequest, ns: str, slug: str, item: str) -> HttpResponse:
        collection = verbs.find(f"{ns}/{slug}", self.caller, to_change=True)
        body = bodies.json_object(request)
        position = bodies.whole(body, "position") if body.get("position") is not None else None
        verbs.change_item(collection, cursors.parse_hub_id(item), note=note_in(body), position=position)
        return answer({"success": True})

    def delete(self, request: HttpRequest, ns: str, slug: str, item: str) -> HttpResponse:
        verbs.remove(verbs.find(f"{ns}/{slug}", self.caller, to_change=True), cursors.parse_hub_id(item))
        return answer({"success": True})


def note_in(body: bodies.JsonObject) -> str | None:
    """Return the note of an entry: Python sends a string, JavaScript an object with `text`."""
    note = body.get("note")
    if isinstance(note, dict):
        note = note.get("text")
    return None if note is None else bodies.text({"note": note}, "note")


def listed(collection: Collection, entries: list[CollectionItem]) -> JSON:
    """A collection in a list: without `position`, which clients give it themselves, and with its first entries."""
    return {
        "slug": collection.slug,
        "title": collection.title,
        **({"description": collection.description} if collection.description else {}),
        "owner": collection.namespace.name,
        "lastUpdated": shapes.moment(collection.updated_at),
        "private": collection.private,
        "theme": collection.theme,
        "upvotes": 0,
        "items": [entry(item, place) for place, item in enumerate(entries[:ITEMS_IN_LISTS])],
    }


def whole(collection: Collection, entries: list[CollectionItem]) -> JSON:
    """A collection alone, with everything in it that the caller may see."""
    items = [entry(item, place) for place, item in enumerate(entries)]
    return listed(collection, []) | {"items": items, "position": collection.position}


def entry(item: CollectionItem, place: int) -> JSON:
    """An entry; `place` counts what the caller sees."""
    fields: JSON = {"_id": cursors.format_hub_id(item.pk), "position": place}
    if item.note:
        fields["note"] = {"text": item.note}
    if item.repository is not None:
        return fields | shapes.summary(item.repository) | {"_id": fields["_id"], "type": item.repository.type}
    nested = item.nested
    assert nested is not None, "the database keeps entries that are neither"
    slug = nested.slug
    return fields | {"id": cursors.format_hub_id(nested.pk), "type": "collection", "slug": slug, "title": nested.title}


COLLECTION = "api/collections/<str:ns>/<str:slug>"
WIRE = [
    path("api/collections", Collections.as_view()),
    path(COLLECTION, OneCollection.as_view()),
    path(f"{COLLECTION}/items", Items.as_view()),
    path(f"{COLLECTION}/items/<str:item>", OneItem.as_view()),
]
