"""Collections over REST: list, create, change and delete them, and add, order, note and remove their items."""

from typing import Annotated, TypeVar

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, Time
from features.collections import models, verbs
from hub.api import pages
from hub.api.pages import Data, Text, WholeNumber
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel import policy

MAX_PLACE = 1 << 30


class Listing(pages.Paging):
    owner = s.ListField(child=s.CharField(max_length=200), required=False, help_text="repeated: any of them")
    item = s.ListField(
        child=s.CharField(max_length=200),
        required=False,
        help_text="models/ns/name, datasets/ns/name, spaces/ns/name or collections/ns/slug; repeated: all of them",
    )


class CollectionChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    title = Text(required=False, max_length=verbs.MAX_TITLE)
    description = Text(required=False, allow_blank=True, max_length=verbs.MAX_DESCRIPTION)
    private = s.BooleanField(required=False)
    theme = s.ChoiceField(models.Collection.Theme.choices, required=False)
    position = WholeNumber(
        required=False, help_text="among the collections of its owner, from 0", min_value=0, max_value=MAX_PLACE
    )


class NewCollection(s.Serializer[Data]):
    owner = Text(required=False, max_length=96, help_text="an organisation that you may write in, or you")
    title = Text(max_length=verbs.MAX_TITLE)
    description = Text(required=False, default="", allow_blank=True, max_length=verbs.MAX_DESCRIPTION)
    private = s.BooleanField(required=False, default=False)


class ItemChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    note = Text(required=False, allow_blank=True, max_length=verbs.MAX_NOTE)
    position = WholeNumber(required=False, help_text="0 is the first", min_value=0, max_value=MAX_PLACE)


class NewItem(s.Serializer[Data]):
    type = s.ChoiceField(list(verbs.KINDS))
    name = Text(max_length=300, help_text="namespace/name of a repository, owner/slug of a collection")
    note = Text(required=False, default="", allow_blank=True, max_length=verbs.MAX_NOTE)


class CollectionItem(Answer):
    id: int
    type: Annotated[str, OneOf(*verbs.KINDS)]
    name: Annotated[str, "namespace/name of a repository, owner/slug of a collection"]
    title: Annotated[str | None, "of a collection"]
    note: str
    position: Annotated[int, "from 0, among those that you may see"]


class CollectionLine(Answer):
    """A collection in a list."""

    owner: str
    slug: Annotated[str, "the part of its address after the owner; its words may change, its last part never"]
    title: str
    description: str
    private: bool
    theme: Annotated[str, OneOf(*models.Collection.Theme.values)]
    position: Annotated[int, "among the collections of its owner"]
    created_at: Time
    updated_at: Time


class WholeCollection(CollectionLine):
    """A collection with its items that the caller may see, in their order."""

    items: tuple[CollectionItem, ...]


class _View(View):
    def to_change(self, request: Request, ns: str, slug: str) -> models.Collection:
        pages.parameters(request, pages.Nothing)
        return verbs.find(f"{ns}/{slug}", self.caller, to_change=True)

    def whole(self, collection: models.Collection) -> WholeCollection:
        items = tuple(_item(item, place) for place, item in enumerate(verbs.items(collection, self.caller)))
        return _row(WholeCollection, collection, items=items)


class Collections(_View):
    @operation("collections", query=Listing, callers="anyone")
    def get(self, request: Request) -> Page[CollectionLine]:
        """Collections, last changed first."""
        asked = pages.parameters(request, Listing)
        page = verbs.page(
            self.caller,
            owners=asked.get("owner", ()),
            items=asked.get("item", ()),
            cursor=asked.get("cursor", ""),
            limit=asked["limit"],
        )
        return pages.page(request, [_row(CollectionLine, one) for one in page.items], page.next)

    @operation(
        "create_collection",
        body=NewCollection,
        status=201,
        example={"owner": "acme", "title": "Sentiment", "description": "What we serve"},
    )
    def post(self, request: Request) -> WholeCollection:
        """Create an empty collection."""
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "make a collection")
        given = pages.body(request, NewCollection)
        owner = given.pop("owner", user.username)
        return self.whole(verbs.create(owner, by=self.caller, **given))


class OneCollection(_View):
    @operation("collection", callers="anyone")
    def get(self, request: Request, ns: str, slug: str) -> WholeCollection:
        """A collection with its items."""
        pages.parameters(request, pages.Nothing)
        return self.whole(verbs.find(f"{ns}/{slug}", self.caller))

    @operation("change_collection", body=CollectionChange, example={"title": "Sentiment and tone", "private": False})
    def patch(self, request: Request, ns: str, slug: str) -> WholeCollection:
        """Change a collection."""
        collection = self.to_change(request, ns, slug)
        return self.whole(verbs.change(collection, verbs.Change(**pages.body(request, CollectionChange))))

    @operation("delete_collection")
    def delete(self, request: Request, ns: str, slug: str) -> None:
        """Delete a collection.

        The repositories in it stay.
        """
        verbs.delete(self.to_change(request, ns, slug), self.caller)


class Items(_View):
    @operation(
        "add_to_collection",
        body=NewItem,
        status=201,
        example={"type": "model", "name": "alice/reviews", "note": "Our best"},
    )
    def post(self, request: Request, ns: str, slug: str) -> WholeCollection:
        """Append a repository or another collection."""
        collection = self.to_change(request, ns, slug)
        given = pages.body(request, NewItem)
        verbs.add(collection, given["type"], given["name"], self.caller, note=given["note"])
        return self.whole(collection)


class OneItem(_View):
    @operation("change_item", body=ItemChange, example={"position": 0, "note": "Our best"})
    def patch(self, request: Request, ns: str, slug: str, item: int) -> WholeCollection:
        """Change the note of an item, or move it to another place."""
        collection = self.to_change(request, ns, slug)
        verbs.change_item(collection, item, **pages.body(request, ItemChange))
        return self.whole(collection)

    @operation("remove_from_collection")
    def delete(self, request: Request, ns: str, slug: str, item: int) -> None:
        """Remove an item."""
        verbs.remove(self.to_change(request, ns, slug), item)


Row = TypeVar("Row", bound=CollectionLine)


def _row(answer: type[Row], collection: models.Collection, **more: object) -> Row:
    return of_row(answer, collection, owner=collection.namespace.name, slug=collection.slug_part, **more)


def _item(item: models.CollectionItem, place: int) -> CollectionItem:
    if (nested := item.nested) is not None:
        return of_row(
            CollectionItem, item, id=item.pk, type="collection", name=nested.slug, title=nested.title, position=place
        )
    assert item.repository is not None, "the database keeps entries that are neither"
    kind, name = item.repository.type, item.repository.full_name
    return of_row(CollectionItem, item, id=item.pk, type=kind, name=name, title=None, position=place)


COLLECTION = "collections/<str:ns>/<str:slug>"
REST = [
    path("collections", Collections.as_view(), name="rest-collections"),
    path(COLLECTION, OneCollection.as_view(), name="rest-collection"),
    path(f"{COLLECTION}/items", Items.as_view(), name="rest-collection-items"),
    path(f"{COLLECTION}/items/<int:item>", OneItem.as_view(), name="rest-collection-item"),
]
