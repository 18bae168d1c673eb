"""Collections: create, change and delete them, and edit their items."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from features.collections.models import Collection, CollectionItem
from registry.kernel import audit, errors, policy
from registry.kernel.errors import ItemNotFound, NamespaceNotFound, NotAllowed, RegistryError, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.kernel.texts.cursors import Cursor, Page, following
from registry.models import FormerNamespace, Membership, Namespace, Repository
from registry.people import accounts
from registry.repos import lookup

MAX_TITLE, MAX_DESCRIPTION, MAX_NOTE = 120, 500, 500
MAX_ITEMS = 500
MAX_ASKED = 20
KINDS = ("model", "dataset", "space", "collection")


class CollectionNotFound(errors.Missing):
    code = "collection-not-found"
    default_fix = "Check the address, and that you are signed in if the collection is private."


class CollectionExists(errors.Conflict):
    code = "collection-exists"
    default_fix = "Change the one that exists, or choose another title."


class ItemExists(errors.Conflict):
    code = "item-exists"
    default_fix = "Change the entry that is there."


def visible_to(by: Caller) -> Q:
    """Return the condition under which a caller sees a collection: it is public or in one of their namespaces."""
    return policy.owner_is_active() & (Q(private=False) | policy.in_own_namespace(by))


def find(address: str, by: Caller, *, to_change: bool = False) -> Collection:
    """Return the collection at owner/any-words-key; only owner and key count.

    Raises CollectionNotFound for a missing or invisible collection; with `to_change` also NotAllowed and
    SignInRequired.
    """
    if to_change:
        policy.require_person(by, "change a collection")
    owner, _, tail = address.partition("/")
    formerly = FormerNamespace.objects.filter(name=owner.lower()).values("namespace")
    of_owner = Q(namespace__name__lower=owner.lower()) | Q(namespace__in=formerly)
    rows = Collection.objects.filter(visible_to(by), of_owner, key=tail.rpartition("-")[2])
    collection = rows.select_related("namespace").first()
    if collection is None:
        raise CollectionNotFound(f"There is no collection {address[:200]!r}, or you may not see it.")
    if to_change:
        _require_writer(by, collection.namespace, "change the collections")
    return collection


def _require_writer(by: Caller, namespace: Namespace, deed: str) -> None:
    """Raise NotAllowed unless the caller may write everything in the namespace.

    Raises SecondFactorRequired and what require_person raises, too.
    """
    user = policy.require_person(by, f"{deed} of {namespace.name}")
    policy.refuse_locked(by, namespace)
    if by.roles.get(namespace.pk) not in {Membership.Role.WRITE, Membership.Role.ADMIN}:
        raise NotAllowed(f"{user.username} may not {deed} of {namespace.name}.")


def listed(by: Caller, *, owners: Sequence[str] = (), items: Sequence[str] = ()) -> QuerySet[Collection]:
    """Return the visible collections of these owners that hold all of these items, last changed first.

    An item is written models/ns/name, datasets/ns/name or collections/ns/slug; an unknown item gives no collection.
    Raises ValueInvalid for too many items, since each is a join.
    """
    distinct = dict.fromkeys(items)
    if len(distinct) > MAX_ASKED:
        raise ValueInvalid(
            f"{len(distinct)} items were requested; the limit is {MAX_ASKED}.", fix="Request fewer at a time."
        )
    rows = Collection.objects.filter(visible_to(by)).select_related("namespace").order_by("-updated_at", "-pk")
    if owners:
        rows = rows.filter(namespace__name__lower__in=[owner.lower() for owner in owners])
    for item in distinct:
        kind, _, name = item.partition("/")
        try:
            target = _target(kind.removesuffix("s"), name, by)
        except RegistryError:
            return rows.none()
        rows = rows.filter(items__in=CollectionItem.objects.filter(**target))
    return rows


def page(
    by: Caller, *, owners: Sequence[str] = (), items: Sequence[str] = (), cursor: str = "", limit: int
) -> Page[Collection]:
    """Return one page of `listed`. Raises ValueInvalid, also for a cursor that is not ours."""
    rows = listed(by, owners=owners, items=items)
    if cursor:
        matches = following(rows, "updated_at", Cursor.verify(cursor, "collections"), limit + 1)
    else:
        matches = list(rows[: limit + 1])
    shown = matches[:limit]
    has_more = len(matches) > limit
    return Page(shown, Cursor(shown[-1].updated_at, shown[-1].pk).sign("collections") if has_more else "")


def items(collection: Collection, by: Caller) -> list[CollectionItem]:
    """Return the entries that the caller may see, in order; one query."""
    return items_of([collection], by)[collection.pk]


def items_of(collections: Sequence[Collection], by: Caller) -> dict[int, list[CollectionItem]]:
    """Return row id → visible entries for many collections; one query."""
    entries: dict[int, list[CollectionItem]] = {collection.pk: [] for collection in collections}
    seen = Q(policy.has_listed_repository(by))
    seen |= Q(nested__in=Collection.objects.filter(visible_to(by)))
    rows = CollectionItem.objects.filter(seen, collection__in=entries)
    for item in rows.select_related("repository__namespace", "nested__namespace").order_by("position", "pk"):
        entries[item.collection_id].append(item)
    return entries


# --- collections -----------------------------------------------------------------------------------------------------
def create(namespace: str, title: str, by: Caller, *, description: str = "", private: bool = False) -> Collection:
    """Create an empty collection.

    Raises CollectionExists with the existing `slug` if the owner has one of this title, ValueInvalid,
    NotAllowed and SignInRequired.
    """
    user = policy.require_person(by, "make a collection")
    owner = _owner(namespace)
    _require_writer(by, owner, "make collections")
    words = {"title": _title(title), "description": names.check_text(description, "description", MAX_DESCRIPTION)}
    try:
        with transaction.atomic():
            place = Collection.objects.filter(namespace=owner).count()
            collection = Collection.objects.create(
                key=secrets.token_hex(12), namespace=owner, private=private, position=place, created_by=user, **words
            )
            audit.record(
                user,
                "collection:create",
                collection.slug,
                about=owner,
                after={"title": collection.title, "private": private},
            )
            return collection
    except IntegrityError:
        _owner(namespace)  # it may have been deleted since the check
        raise _exists(owner.pk, words["title"]) from None


def _owner(name: str) -> Namespace:
    try:
        return accounts.get_namespace(name)
    except NamespaceNotFound:
        raise NotAllowed(f"You may not create collections in {name!r}.") from None


@dataclass(frozen=True)
class Change:
    """The fields to change; None leaves a field as it is."""

    title: str | None = None
    description: str | None = None
    private: bool | None = None
    theme: str | None = None
    position: int | None = None


def change(collection: Collection, wish: Change) -> Collection:
    """Change the fields of a collection that came from `find(to_change=True)`.

    Raises ValueInvalid, CollectionExists, and CollectionNotFound if it was deleted meanwhile.
    """
    changed = _checked(wish)
    for name, value in changed.items():
        setattr(collection, name, value)
    try:
        # Only the changed fields are saved: a new title must not undo a concurrent change of visibility.
        with transaction.atomic():
            _lock(collection)
            collection.save(update_fields=changed)
    except IntegrityError:
        raise _exists(collection.namespace_id, collection.title) from None
    return collection


def _checked(wish: Change) -> dict[str, object]:
    changed: dict[str, object] = {}
    if wish.title is not None:
        changed["title"] = _title(wish.title)
    if wish.description is not None:
        changed["description"] = names.check_text(wish.description, "description", MAX_DESCRIPTION)
    if wish.private is not None:
        changed["private"] = wish.private
    if wish.theme is not None:
        if wish.theme not in Collection.Theme.values:
            known = ", ".join(Collection.Theme.values)
            raise ValueInvalid(f"There is no theme {wish.theme[:40]!r}.", fix=f"Use one of {known}.")
        changed["theme"] = wish.theme
    if wish.position is not None:
        changed["position"] = min(wish.position, 1 << 30)
    return changed


def delete(collection: Collection, by: Caller) -> None:
    """Delete a collection; its items themselves stay."""
    with transaction.atomic():
        state = {"title": collection.title, "private": collection.private}
        audit.record(by.user, "collection:delete", collection.slug, about=collection.namespace, before=state)
        collection.delete()


def _title(text: str) -> str:
    title = names.check_text(text, "title", MAX_TITLE)
    if not title:
        raise ValueInvalid("A collection needs a title.", fix="Describe in a few words what it contains.")
    return title


def _exists(namespace_id: int, title: str) -> CollectionExists:
    other = Collection.objects.select_related("namespace").get(namespace_id=namespace_id, title=title)
    return CollectionExists(f"There is a collection {title!r} already: {other.slug}.", slug=other.slug)


# --- entries ---------------------------------------------------------------------------------------------------------
def add(collection: Collection, kind: str, name: str, by: Caller, *, note: str = "") -> CollectionItem:
    """Append a repository or another collection to a collection that came from `find(to_change=True)`.

    Raises ItemExists, ItemNotFound for a missing or invisible item, ValueInvalid for another kind or a full list.
    """
    target = _target(kind, name, by)
    note = names.check_text(note, "note", MAX_NOTE)
    if target.get("nested") == collection:
        raise ValueInvalid("A collection cannot contain itself.", fix="Choose another collection.")
    with transaction.atomic():
        _lock(collection)
        if collection.items.filter(**target).exists():
            raise ItemExists(f"{name} is in {collection.slug} already.")
        place = collection.items.count()
        if place >= MAX_ITEMS:
            raise ValueInvalid(f"A collection holds at most {MAX_ITEMS} items.", fix="Create another collection.")
        return CollectionItem.objects.create(collection=collection, position=place, note=note, **target)


def change_item(collection: Collection, pk: int, *, note: str | None = None, position: int | None = None) -> None:
    """Change an entry's note, or move it to another place (from 0). Raises ItemNotFound, ValueInvalid."""
    with transaction.atomic():
        _lock(collection)
        rows = list(collection.items.order_by("position", "pk"))
        item = next((row for row in rows if row.pk == pk), None)
        if item is None:
            raise ItemNotFound(f"{collection.slug} has no such item.")
        if note is not None:
            item.note = names.check_text(note, "note", MAX_NOTE)
        if position is not None:
            rows.remove(item)
            rows.insert(position, item)
        _renumber(rows)


def remove(collection: Collection, pk: int) -> None:
    """Remove an entry. Raises ItemNotFound."""
    with transaction.atomic():
        _lock(collection)
        if not collection.items.filter(pk=pk).delete()[0]:
            raise ItemNotFound(f"{collection.slug} has no such item.")
        _renumber(list(collection.items.order_by("position", "pk")))


def _lock(collection: Collection) -> None:
    """Lock a collection, so that two entries never get one position, and update its time of change."""
    rows = Collection.objects.select_for_update(no_key=True).filter(pk=collection.pk)
    if rows.first() is None:
        raise CollectionNotFound(f"The collection {collection.slug} is gone.")
    collection.updated_at = timezone.now()
    rows.update(updated_at=collection.updated_at)


def _renumber(rows: list[CollectionItem]) -> None:
    for place, row in enumerate(rows):
        row.position = place
    CollectionItem.objects.bulk_update(rows, ["position", "note"])


def _target(kind: str, name: str, by: Caller) -> dict[str, Repository | Collection]:
    if kind not in KINDS:
        raise ValueInvalid(
            f"A collection cannot contain an item of type {kind[:40]!r}.", fix=f"Use one of {', '.join(KINDS)}."
        )
    try:
        if kind == "collection":
            return {"nested": find(name, by)}
        return {"repository": lookup.find(name, by, Permission.BROWSE, type=kind)}
    except RegistryError:
        raise ItemNotFound(
            f"There is no {kind} {name[:200]!r}, or you may not see it.", fix="Check the name and the type."
        ) from None


def _lists_with(repository: Repository, by: Caller, limit: int) -> Page[Collection]:
    return page(by, items=[f"{repository.type}s/{repository.full_name}"], limit=limit)


FEATURE = Feature(
    forget=lambda user: Collection.objects.filter(namespace=user.namespace).delete(), lists_with=_lists_with
)
