"""The rows of releases in the tests that walk all of REST."""

ADAPTER = "adapters/{ns}/{name}"
ANSWERS = [
    ("POST", f"{ADAPTER}/releases", "alice", {"tag": "v1.0.0", "revision": "main", "force": True}),
    ("GET", f"{ADAPTER}/releases", "anonymous", None),
    ("GET", f"{ADAPTER}/releases/v1.0.0", "anonymous", None),
    ("PATCH", f"{ADAPTER}/releases/v1.0.0", "alice", {"title": "Longer training"}),
]
OF_A_PERSON = {"releases/v1.0.0": "releases/{release}"}
BODIES = {
    ("POST", "/api/v1/adapters/acme/public/releases"): {
        "tag": "v2.0.0",
        "revision": "main",
        "title": "x",
        "notes": "x",
        "prerelease": False,
        "force": True,
    },
    ("PATCH", "/api/v1/adapters/acme/public/releases/v1.0.0"): {"title": "x", "notes": "x", "prerelease": True},
}
SEEDS = [("alice", "POST", "adapters/alice/reviews/releases", {"tag": "v1.0.0", "revision": "v1"})]
