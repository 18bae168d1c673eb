"""The rows of repositories in the tests that walk all of REST."""

ADAPTER = "adapters/{ns}/{name}"
COMMIT = {"summary": "Say more", "files": [{"path": "notes.txt", "content": "x"}]}
ANSWERS = [
    ("POST", "adapters", "alice", {"id": "alice/made-by-rest"}),
    ("PATCH", ADAPTER, "alice", {"private": False}),
    ("PUT", f"{ADAPTER}/branches/next", "alice", {}),
    ("PUT", f"{ADAPTER}/tags/kept", "alice", {}),
    ("POST", f"{ADAPTER}/commits", "alice", COMMIT),
]
OF_A_PERSON = {"branches/next": "branches/{branch}", "tags/kept": "tags/{tag_name}"}
SEEDS = [
    ("alice", "PUT", "adapters/alice/reviews/branches/next", {}),
    ("alice", "PUT", "adapters/alice/reviews/tags/kept", {}),
]
SPECIAL = {"create_branch": {"branch": "newer"}, "create_tag": {"tag_name": "newer"}}
HOME = "/api/v1/adapters/acme/public"
BODIES = {
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
