"""The answer to each caller on each route; tests/registry/test_routes.py has a row for every route there is."""

import pytest

from registry.moderation import quarantine
from tests.sweep import sweep

PUBLIC, PRIVATE = "/api/v1/adapters/alice/reviews", "/api/v1/adapters/acme/secret"
READS = ["", "/revisions", "/revisions/main", "/revisions/main/verdict", "/revisions/main/lock"]

# who, role of the token ("": a session), then the status of reading a public and a private adapter, of validating both
TABLE = [
    ("anonymous", "", 200, 404, 401, 404),
    ("carol", "", 200, 404, 403, 404),
    ("carol", "write", 200, 404, 403, 404),
    ("erin", "", 200, 200, 403, 403),
    ("erin", "write", 200, 200, 403, 403),
    ("dave", "write", 200, 200, 403, 403),
    ("bob", "read", 200, 200, 403, 403),
    ("bob", "write", 200, 200, 403, 202),
    ("bob", "fine-grained", 200, 404, 403, 404),
    ("alice", "", 200, 200, 202, 202),
    ("alice", "read", 200, 200, 403, 403),
    ("alice", "write", 200, 200, 202, 202),
    ("mona", "", 200, 404, 403, 404),
    ("ada", "", 200, 404, 403, 404),
]


@sweep("who, token, public, private, validate, validate_private", TABLE)
def test_the_table(ask, repository, secret, who, token, public, private, validate, validate_private):
    asking = ask(who, token)
    for route in READS:
        assert asking.get(PUBLIC + route).status_code == public, route
        assert asking.get(PRIVATE + route).status_code == private, route
    for base, status in ((PUBLIC, public), (PRIVATE, private)):
        answer = asking.get(f"{base}/revisions/main/files/README.md")
        assert answer.status_code == (302 if status == 200 else status)
    assert asking.post(f"{PUBLIC}/revisions/main/validate").status_code == validate
    assert asking.post(f"{PRIVATE}/revisions/main/validate").status_code == validate_private


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("anonymous", 404, "adapter-not-found"),
        ("carol", 404, "adapter-not-found"),
        ("alice", 403, "adapter-quarantined"),
    ],
)
def test_a_quarantined_adapter_is_refused_on_every_route(ask, cast, repository, who, status, code):
    quarantine.quarantine(repository, cast.session("mona"), reason="It carries a pickle.")
    asking = ask(who)
    for route in [*READS, "/revisions/main/files/README.md"]:
        answer = asking.get(PUBLIC + route)
        assert (answer.status_code, answer.json()["code"]) == (status, code), route
    if status == 403:
        assert "It carries a pickle." in answer.json()["detail"]
    assert asking.post(f"{PUBLIC}/revisions/main/validate").status_code == status
    assert asking.get("/api/v1/adapters").json()["items"] == []
