"""Collections on the wire, asked by hand."""

from urllib.parse import urlencode

import pytest

from features.collections import verbs
from features.collections.models import Collection
from features.collections.verbs import Change, CollectionNotFound
from registry.models import Repository
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire


def made(wire: Wire, title: str = "Best of", who: str = "alice", **more) -> dict:
    answer = wire.ask("POST", "/api/collections", {"title": title, "namespace": who, "private": False} | more, who=who)
    assert answer.status_code == 200, answer.content
    return answer.json()


def put(wire: Wire, slug: str, name: str, kind: str = "model", who: str = "alice", **more):
    return wire.ask("POST", f"/api/collections/{slug}/items", {"item": {"type": kind, "id": name}} | more, who=who)


def test_a_collection_shows_everybody_what_he_may_see(wire: Wire, cast):
    cast.repository("acme/open")
    cast.repository("acme/secret", private=True)
    slug = made(wire, "Ours", namespace="acme")["slug"]
    put(wire, slug, "acme/secret")
    put(wire, slug, "acme/open", note="Look.")
    seen = lambda who: wire.get(f"/api/collections/{slug}", who=who).json()["items"]
    assert [(one["id"], one["position"]) for one in seen("erin")] == [("acme/secret", 0), ("acme/open", 1)]
    assert [(one["id"], one["position"], one["note"]["text"]) for one in seen("nobody")] == [("acme/open", 0, "Look.")]
    (listed,) = wire.get("/api/collections?owner=ACME", who="nobody").json()
    assert "position" not in listed
    assert len(listed["items"]) == 1
    assert wire.get("/api/collections?item=models/acme/secret", who="carol").json() == []
    assert len(wire.get("/api/collections?item=models/acme/secret", who="erin").json()) == 1


def test_a_private_collection_is_answered_as_one_that_never_was(wire: Wire, cast):
    slug = made(wire, private=True)["slug"]
    never = slug[:-1] + ("0" if slug[-1] != "0" else "1")
    for who in ("nobody", "carol"):
        private, missing = (wire.get(f"/api/collections/{one}", who=who) for one in (slug, never))
        assert private.status_code == missing.status_code == 404
        assert private.content.replace(slug.encode(), b"") == missing.content.replace(never.encode(), b"")
    assert wire.get("/api/collections", who="carol").json() == []
    refused(
        wire.get(f"/api/collections/{slug}", who=cast.token("alice", "fine-grained", alice__x="write")),
        404,
        "collection-not-found",
    )


def test_only_those_who_write_there_change_a_collection(wire: Wire, cast):
    cast.repository("acme/open")
    slug = made(wire, namespace="acme", who="alice")["slug"]
    item = put(wire, slug, "acme/open", who="bob").json()["items"][0]["_id"]
    for who in ("carol", "erin", "dave", cast.token("alice", "read")):
        refused(put(wire, slug, "acme/open", who=who), 403, "not-allowed")
        refused(wire.ask("PATCH", f"/api/collections/{slug}", {"title": "Mine"}, who=who), 403, "not-allowed")
        refused(wire.ask("DELETE", f"/api/collections/{slug}", who=who), 403, "not-allowed")
        refused(wire.ask("DELETE", f"/api/collections/{slug}/items/{item}", who=who), 403, "not-allowed")
    refused(wire.ask("POST", "/api/collections", {"title": "x", "namespace": "acme"}, who="carol"), 403, "not-allowed")
    assert Collection.objects.get().items.count() == 1


def test_two_who_change_different_things_of_a_collection_at_once_both_change_them(wire: Wire, cast):
    slug, by = made(wire)["slug"], cast.session("alice")
    one, other, late = (verbs.find(slug, by, to_change=True) for _ in range(3))
    verbs.change(one, Change(private=True))
    verbs.change(other, Change(title="Better"))
    now = Collection.objects.get()
    assert (now.private, now.title) == (True, "Better")
    verbs.delete(now, by)
    with pytest.raises(CollectionNotFound):
        verbs.change(late, Change(title="Best"))


def test_a_second_collection_of_one_title_is_refused_with_the_address_of_the_first(wire: Wire, cast):
    slug = made(wire)["slug"]
    answer = wire.ask("POST", "/api/collections", {"title": "Best of", "namespace": "alice"})
    assert refused(answer, 409, "collection-exists")["slug"] == slug
    other = made(wire, "Other")["slug"]
    answer = wire.ask("PATCH", f"/api/collections/{other}", {"title": "Best of"})
    assert refused(answer, 409, "collection-exists")["slug"] == slug


def test_entries_keep_their_order_when_they_move_and_go(wire: Wire, cast):
    slug = made(wire)["slug"]
    for name in "abcd":
        cast.repository(f"alice/{name}")
        put(wire, slug, f"alice/{name}")
    items = {one["id"]: one["_id"] for one in wire.get(f"/api/collections/{slug}").json()["items"]}
    order = lambda: "".join(one["id"][-1] for one in wire.get(f"/api/collections/{slug}").json()["items"])
    change = lambda name, **body: wire.ask("PATCH", f"/api/collections/{slug}/items/{items[name]}", body)
    change("alice/d", position=0)
    assert order() == "dabc"
    change("alice/d", position=99, note="last")
    assert order() == "abcd"
    wire.ask("DELETE", f"/api/collections/{slug}/items/{items['alice/b']}")
    assert order() == "acd"
    assert [one.position for one in Collection.objects.get().items.all()] == [0, 1, 2]
    Repository.objects.get(name="c").delete()
    put(wire, slug, "alice/b")
    assert order() == "adb"
    for wrong in ("f" * 24, "0" * 24, "x", items["alice/b"]):
        refused(wire.ask("DELETE", f"/api/collections/{slug}/items/{wrong}"), 404, "item-not-found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"item": {"type": "paper", "id": "a/b"}}, 400),
        ({"item": {"type": "model", "id": "alice/nothing"}}, 404),
        ({"item": "alice/a"}, 400),
        ({"item": {"type": "model", "id": "alice/a"}, "note": "x" * 501}, 400),
        ({"item": {"type": "model", "id": "alice/a"}, "note": 7}, 400),
    ],
)
def test_what_cannot_be_in_a_collection_is_refused(wire: Wire, cast, body, status):
    cast.repository("alice/a")
    slug = made(wire)["slug"]
    assert wire.ask("POST", f"/api/collections/{slug}/items", body).status_code == status


def test_a_collection_is_in_others_but_not_in_itself(wire: Wire, cast):
    inner, outer = made(wire, "Inner")["slug"], made(wire, "Outer")["slug"]
    (entry,) = put(wire, outer, inner, "collection").json()["items"]
    assert (entry["type"], entry["slug"]) == ("collection", inner)
    refused(put(wire, outer, outer, "collection"), 400, "value-invalid", "itself")
    wire.ask("PATCH", f"/api/collections/{inner}", {"private": True})
    assert wire.get(f"/api/collections/{outer}", who="carol").json()["items"] == []


def test_pages_of_collections_lead_on(wire: Wire, cast):
    titles = [made(wire, f"Number {n}")["title"] for n in range(5)]
    first = wire.get("/api/collections?limit=3", who="nobody")
    rest = wire.get("/" + first["Link"].split(">")[0].split("/", 3)[3], who="nobody")
    assert [one["title"] for page in (first, rest) for one in page.json()] == titles[::-1]
    foreign = ["x", "_", "2026-01-01_1", "2026-01-01T00:00:00+00:00_" + "9" * 30, "0001-01-01T00:00:00+23:00_1"]
    for cursor in foreign:
        refused(wire.get(f"/api/collections?{urlencode({'cursor': cursor})}"), 400, "value-invalid")
    refused(wire.get("/api/collections?sort=size"), 400, "value-invalid")


def test_a_question_for_very_many_items_is_refused(wire: Wire, cast):
    names = [cast.repository(f"alice/a{number}").full_name for number in range(21)]
    asked = [("item", f"models/{name}") for name in names]
    refused(wire.get(f"/api/collections?{urlencode(asked)}"), 400, "value-invalid")
    assert wire.get(f"/api/collections?{urlencode(asked[:20])}").json() == []
    assert wire.get(f"/api/collections?{urlencode(asked[:1] * 80)}").json() == []
