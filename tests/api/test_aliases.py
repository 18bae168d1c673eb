"""Aliases by REST, and on the wire of stock clients: who may move them, and what everybody reads."""

import pytest

from registry.models import Alias
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from tests.api.conftest import FILES, judged, pushed

HERE = "/api/v1/adapters/alice/reviews"
PROD = f"{HERE}/aliases/prod"
JSON = "application/json"


@pytest.fixture
def versions(cast, repository) -> list[str]:
    """Commit ids of three versions that passed, the oldest first."""
    made = [repository.refs.get().revision]
    made += [pushed(cast, repository, files={**FILES, "README.md": text.encode()}) for text in ("# Two\n", "# Three\n")]
    for revision in made:
        judged(revision, depth="run")
    return [revision.oid for revision in made]


# who, role of the token; the status of a PUT, a rollback and a DELETE
TABLE = [
    ("anonymous", "", 401),
    ("carol", "write", 403),
    ("alice", "read", 403),
    ("mona", "", 403),
    ("alice", "write", 200),
    ("alice", "", 200),
]


@pytest.mark.parametrize(("who", "token", "status"), TABLE)
def test_the_table(ask, versions, who, token, status):
    owner, asking = ask("alice"), ask(who, token)
    for revision in versions[:2]:
        owner.put(PROD, {"revision": revision}, JSON)
    assert asking.put(PROD, {"revision": versions[2]}, JSON).status_code == status
    assert asking.post(f"{PROD}/rollback", {}, JSON).status_code == status
    assert asking.delete(PROD).status_code == (204 if status == 200 else status)
    assert Alias.objects.exists() == (status != 200)


def test_an_alias_is_set_listed_moved_and_rolled_back(ask, versions):
    alice, anyone = ask("alice"), ask()
    made = alice.put(PROD, {"revision": versions[0], "reason": "The first."}, JSON)
    assert made.status_code == 201
    assert made.json() | {"set_at": None} == {
        "alias": "prod", "revision": versions[0], "chosen": versions[0], "fallback": False, "fallback_reason": None,
        "forced": False, "reason": "The first.", "set_by": "alice", "set_at": None,
    }  # fmt: skip
    assert alice.put(PROD, {"revision": "verified"}, JSON).status_code == 200
    assert alice.put(f"{HERE}/aliases/staging", {"revision": "prod"}, JSON).status_code == 201
    page = anyone.get(f"{HERE}/aliases").json()
    assert [(row["alias"], row["revision"]) for row in page["items"]] == [
        ("prod", versions[2]), ("staging", versions[2]),
    ]  # fmt: skip
    assert anyone.get(HERE).json()["aliases"] == {"prod": versions[2], "staging": versions[2]}
    rolled = alice.post(f"{PROD}/rollback", {"reason": "Slow."}, JSON).json()
    assert (rolled["revision"], rolled["reason"]) == (versions[0], "Slow.")
    assert anyone.get(f"{HERE}/revisions/prod").json()["revision"] == versions[0]
    assert anyone.get(f"{HERE}/revisions/prod/verdict").json()["revision"] == versions[0]
    first = anyone.get(f"{PROD}/history?limit=2").json()
    moves = first["items"] + anyone.get(first["next"]).json()["items"]
    assert [(row["action"], row["before"], row["after"], row["by"], row["reason"]) for row in moves] == [
        ("rollback", versions[2], versions[0], "alice", "Slow."),
        ("set", versions[0], versions[2], "alice", ""),
        ("set", None, versions[0], "alice", "The first."),
    ]
    assert alice.delete(PROD).status_code == 204
    assert anyone.get(PROD).json()["code"] == "alias-not-found"
    assert anyone.get(f"{PROD}/history").json()["items"][0]["action"] == "remove"
    assert anyone.get(f"{HERE}/aliases/never/history").status_code == 404


def test_what_it_refuses_has_a_code_and_a_fix(cast, ask, repository, versions):
    alice = ask("alice")
    unproven = pushed(cast, repository, files={**FILES, "README.md": b"# New\n"}).oid
    for alias, body, status, code in (
        ("prod", {"revision": unproven}, 409, "alias-unproven"),
        ("prod", {"revision": unproven, "force": True}, 400, "value-invalid"),
        ("prod", {"revision": "nothing"}, 404, "revision-not-found"),
        ("prod", {}, 400, "value-invalid"),
        ("main", {"revision": versions[0]}, 400, "value-invalid"),
        ("deadbeef", {"revision": versions[0]}, 400, "value-invalid"),
    ):
        refused = alice.put(f"{HERE}/aliases/{alias}", body, JSON)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.content
        assert refused.json()["fix"]
    assert alice.post(f"{PROD}/rollback", {}, JSON).json()["code"] == "alias-not-found"
    forced = alice.put(PROD, {"revision": unproven, "force": True, "reason": "A trial."}, JSON).json()
    assert (forced["revision"], forced["forced"]) == (unproven, True)
    assert alice.post(f"{PROD}/rollback", {}, JSON).json()["code"] == "alias-refused"
    taken = ask("alice", "write").post("/api/models/alice/reviews/branch/prod", {}, JSON)
    assert (taken.status_code, taken.json()["code"]) == (409, "ref-exists")


def test_a_fallback_says_why_and_hides_what_is_held_back_from_strangers(cast, ask, repository, versions):
    alice, anyone = ask("alice"), ask()
    for revision in (versions[0], versions[2]):
        alice.put(PROD, {"revision": revision}, JSON)
    held = repository.revisions.get(oid=versions[2])
    quarantine.quarantine(repository, cast.session("mona"), reason="It phones home.", revision=held)
    owners, strangers = alice.get(PROD).json(), anyone.get(PROD).json()
    assert (owners["revision"], owners["chosen"], owners["fallback"]) == (versions[0], versions[2], True)
    assert (strangers["revision"], strangers["chosen"], strangers["fallback"]) == (versions[0], None, True)
    assert strangers["fallback_reason"] == "held back by moderators"
    for path in (PROD, f"{PROD}/history", f"{HERE}/aliases", HERE):
        told = anyone.get(path).content.decode()
        assert versions[2] not in told, path
        assert "phones home" not in told, path
    assert versions[2] in alice.get(f"{PROD}/history").content.decode()


def test_the_wire_resolves_an_alias_and_tells_the_commit_it_serves(ask, cast, repository, versions):
    ask("alice").put(PROD, {"revision": versions[0]}, JSON)
    ask("alice").put(PROD, {"revision": versions[1]}, JSON)
    client = ask()
    assert client.get("/api/models/alice/reviews/revision/prod").json()["sha"] == versions[1]
    assert client.get("/api/models/alice/reviews/tree/prod").status_code == 200
    for method in (client.head, client.get):
        assert method("/alice/reviews/resolve/prod/README.md")["X-Repo-Commit"] == versions[1]
    listed = client.get("/api/models/alice/reviews/refs").json()
    assert listed["aliases"] == [{"name": "prod", "ref": "refs/aliases/prod", "targetCommit": versions[1]}]
    assert {row["name"] for row in listed["branches"] + listed["tags"]} == {"main"}
    withdrawals.yank(repository.revisions.get(oid=versions[1]), cast.session("alice"), "Wrong labels.")
    assert client.head("/alice/reviews/resolve/prod/README.md")["X-Repo-Commit"] == versions[0]
    withdrawals.yank(repository.revisions.get(oid=versions[0]), cast.session("alice"), "Wrong labels.")
    gone = client.get("/alice/reviews/resolve/prod/README.md")
    assert (gone.status_code, gone["X-Error-Code"]) == (404, "RevisionNotFound")
    assert "the alias 'prod' of alice/reviews names is withdrawn" in gone["X-Error-Message"]
