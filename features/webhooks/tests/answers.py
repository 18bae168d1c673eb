"""The rows of webhooks in the tests that walk all routes."""

from features.webhooks import deliveries, verbs
from tests.cast import Cast

HOOK = {"url": "https://ci.example.org/hook", "watched": "acme", "domains": "repo", "secret": "s3cret-of-a-hook"}
MADE = {
    "url": "https://ci.example.org/hook",
    "watched": [{"type": "user", "name": "alice"}, {"type": "model", "name": "acme/public"}],
    "domains": ["repo"],
    "secret": "s3cret-of-a-hook",
}
ONE = "me/webhooks/1"
ANSWERS = [
    ("POST", "me/webhooks", "alice", MADE),
    ("GET", "me/webhooks", "alice", None),
    ("GET", ONE, "alice", None),
    ("PATCH", ONE, "alice", {"domains": ["verdict"], "disabled": False}),
    ("POST", f"{ONE}/test", "alice", {}),
    ("GET", f"{ONE}/deliveries", "alice", None),
    ("POST", f"{ONE}/deliveries/1/again", "alice", {}),
]
OF_A_PERSON = {ONE: "me/webhooks/{id}", "deliveries/1": "deliveries/{delivery}"}
BODIES = {
    ("POST", "/api/v1/me/webhooks"): MADE,
    ("PATCH", f"/api/v1/{ONE}"): {**MADE, "disabled": True},
}
SEEDS = [("alice", "POST", "me/webhooks", MADE), ("alice", "POST", f"{ONE}/test", {})]
SPECIAL = {
    name: {"id": 1}
    for name in ("webhook", "change_webhook", "delete_webhook", "test_webhook", "webhook_deliveries", "redeliver")
}


def furnish(cast: Cast) -> None:
    """Give alice a webhook that has delivered."""
    webhook = verbs.create(verbs.Wish("https://example.org/", [("user", "acme")], ["repo"]), cast.session("alice"))
    deliveries.ping(webhook, cast.session("alice"))


FURNISH = [furnish]
GIVING = [
    ("alice", "POST", "settings/webhooks", HOOK),
    ("alice", "POST", "settings/webhooks/<number>/change", HOOK),
    ("alice", "POST", "api/v1/me/webhooks", MADE),
    ("alice", "PATCH", "api/v1/me/webhooks/<id>", {"url": "https://elsewhere.example.org/"}),
]
