"""The rows of collections in the tests that walk all of REST."""

from features.collections import verbs
from features.collections.models import Collection
from tests.cast import Cast

KEY = "0" * 24
ONE = f"collections/alice/sentiment-{KEY}"
ITEM = {"type": "model", "name": "alice/reviews", "note": "Our best"}


def present(cast: Cast) -> None:
    """Give alice a collection at a known address, with an item."""
    made = verbs.create("alice", "Sentiment", cast.session("alice"))
    Collection.objects.filter(pk=made.pk).update(key=KEY)
    cast.repository("alice/collected")
    verbs.add(made, "model", "alice/collected", cast.session("alice"))


PRESENT = [present]
ANSWERS = [
    ("POST", "collections", "alice", {"title": "Tone"}),
    ("GET", "collections?owner=alice&item=models/alice/collected", "anonymous", None),
    ("POST", f"{ONE}/items", "alice", ITEM),
    ("PATCH", f"{ONE}/items/1", "alice", {"note": "Our first", "position": 1}),
    ("PATCH", ONE, "alice", {"title": "Sentiment and tone", "theme": "blue"}),
    ("GET", ONE, "anonymous", None),
]
OF_A_PERSON = {ONE: "collections/{ns}/{slug}", "items/1": "items/{item}"}
SENT = {"create_collection": {"title": "Tone"}}
HERE = f"/api/v1/collections/acme/x-{KEY}"
BODIES = {
    ("POST", "/api/v1/collections"): {"owner": "acme", "title": "t", "description": "d", "private": True},
    ("PATCH", HERE): {"title": "t", "description": "d", "theme": "blue", "private": True, "position": 1},
    ("POST", f"{HERE}/items"): {"type": "model", "name": "acme/public", "note": "n"},
    ("PATCH", f"{HERE}/items/1"): {"note": "n", "position": 1},
}
