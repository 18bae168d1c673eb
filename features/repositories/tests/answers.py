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
