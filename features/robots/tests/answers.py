"""The rows of robots in the tests that walk all of REST."""

from datetime import timedelta

from django.utils import timezone

from features.robots import verbs

ROBOTS = "organizations/{org}/robots"
END = (timezone.now() + timedelta(days=30)).isoformat()
TOKEN = {"name": "nightly", "expires_at": END, "repos": {"acme/nightly-*": "create"}}
ANSWERS = [
    ("POST", ROBOTS, "alice", {"name": "deploy"}),
    ("POST", f"{ROBOTS}/deploy/tokens", "alice", TOKEN),
    ("GET", ROBOTS, "alice", None),
    ("GET", f"{ROBOTS}/deploy", "alice", None),
]
OF_A_PERSON = {"robots/deploy": "robots/{robot}"}
BODIES = {
    ("POST", "/api/v1/organizations/acme/robots"): {"name": "build", "purpose": "x"},
    ("POST", "/api/v1/organizations/acme/robots/deploy/tokens"): TOKEN,
}
SEEDS = [("alice", "POST", "organizations/acme/robots", {"name": "deploy"})]
SENT = {"make_robot": {"name": "build"}, "make_robot_token": TOKEN}
PAGE = "organizations/<ns>/settings/robots"
FORM = {"name": "nightly", "patterns": "acme/nightly-*", "right": "write", "expires_at": END[:10]}
GIVING = [
    ("alice", "POST", PAGE, FORM),
    ("alice", "POST", f"{PAGE}/<robot>", FORM),
    ("alice", "POST", "api/v1/organizations/<org>/robots", {"name": "build"}),
    ("alice", "POST", "api/v1/organizations/<org>/robots/<robot>/tokens", TOKEN),
]
FURNISH = [lambda cast: verbs.create_robot("acme", "deploy", cast.session("alice"))]
