"""The rows of likes, follows and profiles in the tests that walk all of REST."""

LIKE = "adapters/{ns}/{name}/like"
ANSWERS = [
    ("PUT", "me/bases/{base}", "alice", None),
    ("GET", "me/bases/{base}", "alice", None),
    ("GET", "me/bases", "alice", None),
    ("DELETE", "me/bases/{base}", "alice", None),
    ("PUT", "me/bases/{base}/asked", "alice", None),
    ("GET", "me/profile", "alice", None),
    ("PATCH", "me/profile", "alice", {"bio": "Adapters", "links": ["https://example.org"]}),
    ("PUT", LIKE, "bob", None),
    ("GET", LIKE, "bob", None),
    ("GET", "adapters/{ns}/{name}/likers", "anonymous", None),
    ("GET", "me/likes", "bob", None),
    ("DELETE", LIKE, "bob", None),
    ("PUT", "me/following/acme", "bob", None),
    ("GET", "me/following/acme", "bob", None),
    ("GET", "me/following", "bob", None),
    ("DELETE", "me/following/acme", "bob", None),
]
OF_A_PERSON = {"me/following/acme": "me/following/{ns}"}
SPECIAL = {"follow_owner": {"ns": "bob"}}
BODIES = {("PATCH", "/api/v1/me/profile"): {"full_name": "A", "bio": "b", "links": ["https://example.org"]}}
