"""The rows of repositories in the tests that walk all of REST."""

from registry.people import gates
from registry.publish import repositories
from tests.cast import Cast

ADAPTER = "adapters/{ns}/{name}"
COMMIT = {"summary": "Say more", "files": [{"path": "notes.txt", "content": "x"}]}
GATED = "adapters/alice/gated"
ANSWERS = [
    ("POST", "adapters", "alice", {"id": "alice/made-by-rest"}),
    ("PATCH", ADAPTER, "alice", {"private": False}),
    ("PUT", f"{ADAPTER}/branches/next", "alice", {}),
    ("PUT", f"{ADAPTER}/tags/kept", "alice", {}),
    ("POST", f"{ADAPTER}/commits", "alice", COMMIT),
    ("POST", f"{GATED}/access", "bob", {"text": "To compare"}),
    ("GET", f"{GATED}/access", "bob", None),
    ("GET", f"{GATED}/access/requests", "alice", None),
    ("PUT", f"{GATED}/access/requests/bob", "alice", {"status": "rejected", "reason": "Not yet."}),
    ("GET", "me/deleted", "alice", None),
]


def present(cast: Cast) -> None:
    """Give alice a gated adapter that erin asked for, and a deleted one."""
    alice, gated = cast.session("alice"), cast.repository("alice/gated")
    gates.set_gate(gated, "manual", alice)
    gates.request_access(gated, cast.session("erin"))
    repositories.delete(cast.repository("alice/gone"), alice)


PRESENT = [present]
ELSEWHERE = {"restore_adapter": "test_rest.py: it needs the number of one"}
OF_A_PERSON = {
    GATED: ADAPTER,
    "access/requests/bob": "access/requests/{user}",
    "branches/next": "branches/{branch}",
    "tags/kept": "tags/{tag_name}",
}
SEEDS = [
    ("alice", "PUT", "adapters/alice/reviews/branches/next", {}),
    ("alice", "PUT", "adapters/alice/reviews/tags/kept", {}),
]
SPECIAL = {
    "ask_for_access": {"name": "gated"},
    "own_access": {"name": "gated"},
    "decide_access": {"name": "gated", "user": "erin"},
    "create_branch": {"branch": "newer"},
    "create_tag": {"tag_name": "newer"},
}
HOME = "/api/v1/adapters/acme/public"
BODIES = {
    ("POST", f"{HOME}/access"): {"text": "x"},
    ("PUT", f"{HOME}/access/requests/carol"): {"status": "rejected", "reason": "x"},
    ("POST", "/api/v1/me/deleted/1/restore"): {"name": "back"},
    ("POST", "/api/v1/adapters"): {"id": "acme/made", "private": True},
    ("PATCH", HOME): {"id": "acme/renamed", "private": True, "gate": "auto"},
    ("PUT", f"{HOME}/branches/next"): {"revision": "main"},
    ("PUT", f"{HOME}/tags/kept"): {"revision": "main"},
    ("POST", f"{HOME}/commits"): {
        "branch": "main",
        "summary": "x",
        "description": "x",
        "parent_commit": "a" * 40,
        "files": [
            {"path": "a.txt", "content": "eA==", "encoding": "base64"},
            {"path": "b.bin", "sha256": "a" * 64, "size": 8},
        ],
        "deletions": ["b"],
    },
}
