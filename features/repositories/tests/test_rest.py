"""Repositories by REST: one is made, filled, named, shown, moved and deleted; and what is refused leaves nothing."""

import base64

import pytest
from django.db import transaction

from registry.models import Repository

pytestmark = pytest.mark.django_db


def test_a_repository_lives_by_rest_alone(cast, rest):
    made = rest("alice", "POST", "adapters", {"id": "alice/by-rest", "private": True}, 201)
    assert (made["id"], made["private"], made["branches"].keys()) == ("alice/by-rest", True, {"main"})
    home = "adapters/alice/by-rest"
    files = [
        {"path": "README.md", "content": "# By REST\n"},
        {"path": "notes/raw.bin", "content": base64.b64encode(b"\x00\xff").decode(), "encoding": "base64"},
    ]
    first = rest("alice", "POST", f"{home}/commits", {"summary": "Begin", "files": files}, 201)
    again = rest("alice", "POST", f"{home}/commits", {"summary": "Begin", "files": files}, 201)
    assert again == first
    tag = rest("alice", "PUT", f"{home}/tags/v0", {"revision": first["revision"]}, 201)
    assert tag == {"name": "v0", "revision": first["revision"]}
    rest("alice", "PUT", f"{home}/branches/try/deep", {}, 201)
    gone = {"branch": "try/deep", "summary": "Tidy", "deletions": ["notes"], "parent_commit": first["revision"]}
    second = rest("alice", "POST", f"{home}/commits", gone, 201)
    manifest = rest("alice", "GET", f"{home}/revisions/{second['revision']}", None, 200)
    assert "notes/raw.bin" not in {file["path"] for file in manifest["files"]}
    late = {"summary": "Late", "branch": "try/deep", "files": files, "parent_commit": first["revision"]}
    assert rest("alice", "POST", f"{home}/commits", late, 412)["code"] == "parent-stale"
    shown = rest("alice", "PATCH", home, {"id": "alice/renamed", "private": False, "gate": "manual"}, 200)
    assert (shown["id"], shown["private"], shown["gated"]) == ("alice/renamed", False, "manual")
    home = "adapters/alice/renamed"
    rest("alice", "DELETE", f"{home}/branches/try/deep", None, 204)
    rest("alice", "DELETE", f"{home}/tags/v0", None, 204)
    assert rest("alice", "GET", home, None, 200)["branches"].keys() == {"main"}
    rest("alice", "DELETE", home, None, 204)
    assert rest("alice", "GET", home, None, 404)["code"] == "adapter-not-found"


REFUSED = [
    ("POST", "adapters", {"id": "alice/reviews"}, 409, "adapter-exists"),
    ("POST", "adapters", {"id": "bob/x"}, 403, "not-allowed"),
    ("POST", "adapters", {"id": "no-namespace"}, 400, "name-invalid"),
    ("POST", "adapters", {"id": "alice/x", "secret": True}, 400, "value-invalid"),
    ("PATCH", "adapters/alice/reviews", {"gate": "open", "private": True}, 400, "value-invalid"),
    ("PATCH", "adapters/alice/reviews", {"private": True, "id": "bob/taken"}, 403, "not-allowed"),
    ("POST", "adapters/alice/reviews/commits", {"summary": "x", "files": [{"path": "a"}]}, 400, "value-invalid"),
    (
        "POST",
        "adapters/alice/reviews/commits",
        {"summary": "x", "files": [{"path": "../a", "content": ""}]},
        422,
        "path-invalid",
    ),
    (
        "POST",
        "adapters/alice/reviews/commits",
        {"summary": "x", "branch": "none", "files": []},
        404,
        "revision-not-found",
    ),
    ("PUT", "adapters/alice/reviews/tags/deadbeef", {}, 400, "value-invalid"),
    ("DELETE", "adapters/alice/reviews/branches/main", None, 403, "ref-protected"),
]


def test_what_is_refused_changes_nothing(cast, repository, rest):
    before = Repository.objects.order_by("pk").values()
    found = []
    for method, path, body, *_ in REFUSED:
        with transaction.atomic():
            said = rest("alice", method, path, body, None)
        found.append((method, path, body, said.get("status"), said.get("code")))
    assert found == REFUSED
    assert list(before.all()) == list(before)


def test_strangers_may_nothing_and_learn_nothing(cast, repository, rest):
    repository.private = True
    repository.save()
    for method, path, body in (
        ("PATCH", "adapters/alice/reviews", {"private": False}),
        ("DELETE", "adapters/alice/reviews", None),
        ("PUT", "adapters/alice/reviews/tags/x", {}),
        ("POST", "adapters/alice/reviews/commits", {"summary": "x"}),
    ):
        said = rest("bob", method, path, body, None)
        nothing = rest("bob", method, path.replace("reviews", "nothing"), body, None)
        assert said["status"] == nothing["status"] == 404, said
