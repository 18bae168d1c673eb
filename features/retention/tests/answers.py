"""The rows of retention in the tests that walk all of REST."""

ADAPTER = "adapters/{ns}/{name}"
ANSWERS = [
    ("PUT", f"{ADAPTER}/retention", "alice", {"keep_last": 1}),
    ("GET", f"{ADAPTER}/retention", "alice", None),
    ("POST", "adapters/{ns}/old/retention/restore", "alice", {}),
    ("PUT", "namespaces/{ns}/retention", "alice", {"keep_last": 2, "keep_days": 3}),
    ("GET", "namespaces/{ns}/retention?keep_last=1", "alice", None),
]
OF_A_PERSON = {"{ns}/old": "{ns}/{name}"}
BODIES = {
    ("PUT", "/api/v1/adapters/acme/public/retention"): {"keep_last": 1, "keep_days": 1},
    ("POST", "/api/v1/adapters/acme/public/retention/restore"): {"revision": "a" * 40},
    ("PUT", "/api/v1/namespaces/acme/retention"): {"keep_last": 1, "keep_days": 1},
}
