"""The rows of notifications in the tests that walk all of REST."""

WATCH = "adapters/{ns}/{name}/watch"
ANSWERS = [
    ("GET", "me/notifications", "alice", None),
    ("POST", "me/notifications/read", "alice", {"up_to": 1}),
    ("GET", "me/notifications/preferences", "alice", None),
    ("PATCH", "me/notifications/preferences", "alice", {"channels": {"own": "site"}, "digest_hour": 6, "mail": False}),
    ("GET", WATCH, "alice", None),
    ("PUT", WATCH, "alice", {"level": "all"}),
    ("DELETE", WATCH, "alice", None),
]
BODIES = {
    ("POST", "/api/v1/me/notifications/read"): {"up_to": 1, "topic": "own"},
    ("PATCH", "/api/v1/me/notifications/preferences"): {"channels": {"own": "off"}, "digest_hour": 6, "mail": True},
    ("PUT", "/api/v1/adapters/acme/public/watch"): {"level": "all"},
}
TEXTS = [("POST", "/api/v1/me/notifications/read", "up_to")]
