"""Teams over REST: create, fill, open repositories, take away, delete; and what members then reach on the wire."""

import pytest

from registry.models import AuditEvent, Team
from registry.people.organizations import organizations

HERE = "/api/v1/organizations/acme/teams"
JSON = "application/json"


@pytest.fixture
def nora(cast):
    """Carol as a member of acme who has only what teams open."""
    organizations.set_member(cast.acme, cast["carol"], "member", by=cast["alice"])
    return "carol"


def test_a_team_is_created_filled_and_deleted(ask, cast, nora):
    alice = ask("alice", "write")
    made = alice.post(HERE, {"name": "ner", "full_name": "Names"}, JSON)
    assert (made.status_code, made.json()) == (201, {"name": "ner", "full_name": "Names", "members": [], "grants": []})
    put = alice.put(f"{HERE}/ner/members/carol", content_type=JSON)
    assert (put.status_code, put.json()["members"]) == (200, ["carol"])
    put = alice.put(f"{HERE}/NER/grants/any/ner-*", {"role": "write"}, JSON)
    assert (put.status_code, put.json()["grants"]) == (200, [{"pattern": "ner-*", "type": "any", "role": "write"}])
    put = alice.put(f"{HERE}/ner/grants/dataset/n%3Fr", {"role": "read"}, JSON)
    assert put.json()["grants"][0] == {"pattern": "n?r", "type": "dataset", "role": "read"}
    listed = ask("alice", "read").get(HERE).json()
    assert (listed["next"], listed["items"]) == (None, [put.json()])
    assert ask("alice", "read").get(f"{HERE}/ner").json() == put.json()
    members = ask("alice").get("/api/v1/organizations/acme/members").json()["items"]
    assert {item["name"]: item["teams"] for item in members}["carol"] == ["ner"]
    assert alice.delete(f"{HERE}/ner/grants/dataset/n%3Fr").status_code == 204
    assert alice.delete(f"{HERE}/ner/members/carol").status_code == 204
    assert alice.delete(f"{HERE}/ner").status_code == 204
    assert not Team.objects.exists()
    gone = alice.get(f"{HERE}/ner")
    assert (gone.status_code, gone.json()["code"]) == (404, "team-not-found")
    assert AuditEvent.objects.filter(action__startswith="team:", actor="alice").count() == 7


@pytest.mark.parametrize(
    ("who", "token"), [("bob", "write"), ("erin", ""), ("carol", ""), ("alice", "read"), ("mona", "")]
)
def test_nobody_else_changes_teams(ask, cast, who, token):
    ask("alice").post(HERE, {"name": "ner"}, JSON)
    asking = ask(who, token)
    answers = [
        asking.post(HERE, {"name": "mine"}, JSON),
        asking.put(f"{HERE}/ner/members/{who}", content_type=JSON),
        asking.put(f"{HERE}/ner/grants/any/*", {"role": "admin"}, JSON),
        asking.delete(f"{HERE}/ner/grants/any/*"),
        asking.delete(f"{HERE}/ner/members/{who}"),
        asking.delete(f"{HERE}/ner"),
        asking.delete(f"{HERE}/no-team"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "not-allowed")}
    assert asking.get(HERE).status_code == (200 if who == "alice" else 403)
    assert [(team.name, team.members.count(), team.grants.count()) for team in Team.objects.all()] == [("ner", 0, 0)]


def test_what_is_wrong_is_said_with_the_fix(ask, cast):
    alice = ask("alice", "write")
    alice.post(HERE, {"name": "ner"}, JSON)
    stranger = alice.put(f"{HERE}/ner/members/carol", content_type=JSON)
    assert (stranger.status_code, stranger.json()["code"]) == (400, "value-invalid")
    assert "not a member of acme" in stranger.json()["detail"]
    assert "Invite" in stranger.json()["fix"]
    for path, role in (("any/acme%2Fx", "read"), ("any/[ab]", "read"), ("book/x", "read"), ("any/x", "contributor")):
        assert alice.put(f"{HERE}/ner/grants/{path}", {"role": role}, JSON).status_code in (400, 404, 422), path
    taken = alice.post(HERE, {"name": "NER"}, JSON)
    assert (taken.status_code, taken.json()["code"]) == (409, "name-taken")


def test_a_private_repository_is_there_for_the_team_alone(ask, cast, nora):
    cast.repository("acme/ner-de", private=True)
    organizations.set_member(cast.acme, cast["mona"], "member", by=cast["alice"])
    alice = ask("alice", "write")
    alice.post(HERE, {"name": "ner"}, JSON)
    alice.put(f"{HERE}/ner/grants/any/ner-*", {"role": "read"}, JSON)
    wire = "/api/models/acme/ner-de"
    absent = ask("mona", "write").get("/api/models/acme/ner-xx")
    for who in ("carol", "mona"):
        answer = ask(who, "write").get(wire)
        assert answer.status_code == absent.status_code
        assert answer.json()["error"].replace("ner-de", "ner-xx") == absent.json()["error"]
        assert ask(who).get("/acme/ner-de").status_code == 404
        assert "ner-de" not in ask(who).get("/acme").content.decode()
    alice.put(f"{HERE}/ner/members/carol", content_type=JSON)
    assert ask("carol", "write").get(wire).json()["id"] == "acme/ner-de"
    assert ask("carol").get("/acme/ner-de").status_code == 200
    assert "ner-de" in ask("carol").get("/acme").content.decode()
    assert [row["id"] for row in ask("carol", "read").get("/api/models?author=acme").json()] == ["acme/ner-de"]
    assert ask("mona", "write").get("/api/models?author=acme").json() == []
    assert ask("mona", "write").get("/api/organizations/acme/settings/repositories").json() == []
    assert ask("carol", "write").get("/api/whoami-v2").json()["orgs"][0]["roleInOrg"] == "member"
    assert ask("carol").get("/api/v1/organizations/acme").json()["role"] == "member"
    alice.delete(f"{HERE}/ner")
    assert ask("carol", "write").get(wire).status_code == absent.status_code
