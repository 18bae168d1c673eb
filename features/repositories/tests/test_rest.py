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


def test_gated_files_are_asked_for_granted_and_rejected(cast, repository, rest):
    home = "adapters/alice/reviews"
    assert rest("bob", "POST", f"{home}/access", {}, 400)["code"] == "value-invalid"  # nothing to ask for
    rest("alice", "PATCH", home, {"gate": "manual"}, 200)
    none = {"adapter": "alice/reviews", "gate": "manual", "status": None, "reason": ""}
    assert rest("bob", "GET", f"{home}/access", None, 200) == none
    rest("bob", "POST", f"{home}/access", {"text": "To compare"}, 200)
    [asked] = rest("alice", "GET", f"{home}/access/requests", None, 200)["items"]
    assert (asked["user"], asked["text"], asked["asked"], asked["decided_by"]) == ("bob", "To compare", True, None)
    rest("alice", "PUT", f"{home}/access/requests/bob", {"status": "rejected", "reason": "Not yet."}, 200)
    assert rest("bob", "GET", f"{home}/access", None, 200) == none | {"status": "rejected", "reason": "Not yet."}
    assert rest("bob", "GET", f"{home}/revisions/main/files/README.md", None, 403)["code"] == "access-required"
    for who in ("bob", "carol"):  # who asked, and who did not
        granted = rest("alice", "PUT", f"{home}/access/requests/{who}", {"status": "accepted"}, 200)
        assert (granted["status"], granted["decided_by"]) == ("accepted", "alice")
    names = rest("alice", "GET", f"{home}/access/requests?status=accepted", None, 200)["items"]
    assert [(row["user"], row["asked"]) for row in names] == [("carol", False), ("bob", True)]
    for method, path, body in (("GET", "requests", None), ("PUT", "requests/bob", {"status": "pending"})):
        assert rest("bob", method, f"{home}/access/{path}", body, 403)["code"] == "not-allowed"
    missing = rest("alice", "PUT", f"{home}/access/requests/erin", {"status": "rejected"}, 404)
    assert missing["code"] == "access-request-not-found"


def test_a_deleted_adapter_is_restored_by_its_owners_alone(cast, repository, rest):
    rest("alice", "DELETE", "adapters/alice/reviews", None, 204)
    [gone] = rest("alice", "GET", "me/deleted", None, 200)["items"]
    assert (gone["name"], gone["deleted_by"]) == ("alice/reviews", "alice")
    assert rest("bob", "GET", "me/deleted", None, 200)["items"] == []
    assert rest("bob", "POST", f"me/deleted/{gone['id']}/restore", {}, 404)["code"] == "adapter-not-found"
    back = rest("alice", "POST", f"me/deleted/{gone['id']}/restore", {"name": "again"}, 200)
    assert back == {"name": "alice/again", "type": "model"}
    assert rest("alice", "GET", "me/deleted", None, 200)["items"] == []
