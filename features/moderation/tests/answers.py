"""The rows of reports and of the queue in the tests that walk all of REST."""

SPAM = {"adapter": "alice/reviews", "reason": "spam", "text": "An advertisement."}
WHY = {"reason": "x"}
ADAPTER = "/api/v1/moderation/adapters/acme/public"
ANSWERS = [
    ("POST", "reports", "carol", SPAM),
    ("GET", "moderation/queue", "mona", None),
    ("POST", "moderation/adapters/{ns}/{name}/quarantine", "mona", WHY),
    ("POST", "moderation/adapters/{ns}/{name}/release", "mona", WHY),
    ("POST", "moderation/users/dave/unsuspend", "mona", WHY),
]
OF_A_PERSON = {"users/dave": "users/{name}"}
NEEDS_A_SIGN_IN = "asked in test_rest.py: it needs a sign-in of the last minutes"
UNANSWERED = [(deed, NEEDS_A_SIGN_IN) for deed in ("takedown", "moderation-delete", "suspend")]
BODIES = {
    ("POST", "/api/v1/reports"): {
        "target": {"type": "person", "id": "carol"},
        "reason": "spam",
        "text": "x",
        "evidence": [{"commit": "a" * 40, "file": "README.md", "line": 1, "end_line": 2, "tensor": "x"}],
    },
    ("POST", f"{ADAPTER}/quarantine"): WHY | {"note": "y", "revision": None},
    ("POST", f"{ADAPTER}/release"): WHY | {"note": "y", "revision": "main"},
    ("POST", f"{ADAPTER}/takedown"): WHY | {"note": "y", "revision": None},
    ("POST", f"{ADAPTER}/delete"): WHY | {"note": "y"},
    ("POST", "/api/v1/moderation/users/carol/suspend"): WHY | {"note": "y", "until": "2030-01-01T00:00:00Z"},
    ("POST", "/api/v1/moderation/users/carol/unsuspend"): WHY | {"note": "y"},
}
SEEDS = [("bob", "POST", "reports", SPAM)]
TEXTS = [("POST", f"{ADAPTER}/quarantine", "reason")]
SPECIAL = {"suspend": {"name": "dave"}, "unsuspend": {"name": "dave"}}
SENT = {
    "suspend": {"reason": "Spam."},
    "unsuspend": {"reason": "It was a mistake."},
    "takedown": {"reason": "It steals credentials."},
    "moderation-delete": {"reason": "It steals credentials."},
}
