"""Organisations over REST: founding, members, invitations, another name, the end."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry.models import AuditEvent, Invitation, Membership, Organization

HERE = "/api/v1/organizations/acme"
MEMBERS = f"{HERE}/members"
MINE = "/api/v1/me/invitations"


def test_administrators_invite_and_who_accepts_is_in(ask, cast):
    listed = ask("alice", "read").get(MEMBERS).json()["items"]
    assert {item["name"]: item["role"] for item in listed} == {
        "alice": "admin",
        "bob": "write",
        "dave": "contributor",
        "erin": "read",
    }
    put = ask("alice", "write").put(f"{HERE}/invitations/carol", {"role": "read"}, "application/json")
    assert put.status_code == 200
    assert {key: put.json()[key] for key in ("name", "full_name", "role", "by")} == {
        "name": "carol",
        "full_name": "Carol",
        "role": "read",
        "by": "alice",
    }
    assert [item["name"] for item in ask("alice", "read").get(f"{HERE}/invitations").json()["items"]] == ["carol"]
    assert "carol" not in str(ask("alice").get(MEMBERS).json())
    assert "example.org" not in str(ask("alice").get(f"{HERE}/invitations").json())
    assert ask("carol").get("/api/v1/me").json()["organizations"] == []
    assert [(row["organization"], row["role"]) for row in ask("carol", "read").get(MINE).json()["items"]] == [
        ("acme", "read")
    ]
    assert ask("carol", "read").post(f"{MINE}/acme/accept").status_code == 403
    assert ask("carol", "write").post(f"{MINE}/ACME/accept").json() == {"organization": "acme", "role": "read"}
    assert ask("carol").get("/api/v1/me").json()["organizations"] == [{"name": "acme", "role": "read"}]
    assert ask("carol").get(MINE).json()["items"] == ask("alice").get(f"{HERE}/invitations").json()["items"] == []
    put = ask("alice", "write").put(f"{MEMBERS}/carol", {"role": "write"}, "application/json")
    assert (put.status_code, put.json()) == (200, {"name": "carol", "full_name": "Carol", "role": "write"})
    acts = AuditEvent.objects.filter(object="acme/carol").order_by("pk").values_list("actor", "action", "after")
    assert list(acts) == [
        ("alice", "organization:invite", "read"),
        ("carol", "organization:member", "read"),
        ("alice", "organization:member", "write"),
    ]


def test_an_invitation_is_declined_or_withdrawn_and_gives_nothing_then(ask, cast):
    alice, carol, mona = ask("alice", "write"), ask("carol", "write"), ask("mona", "write")
    for who in ("carol", "mona"):
        alice.put(f"{HERE}/invitations/{who}", {"role": "admin"}, "application/json")
    assert carol.post(f"{MINE}/acme/decline").status_code == 204
    assert alice.delete(f"{HERE}/invitations/mona").status_code == 204
    for who in (carol, mona, ask("dave", "write")):
        assert who.post(f"{MINE}/acme/accept").json()["code"] == "invitation-not-found"
    for road in ("invitations", "members"):
        again = alice.put(f"{HERE}/{road}/carol", {"role": "read"}, "application/json")
        assert (again.status_code, again.json()["code"]) == (409, "invitation-declined")
    acts = AuditEvent.objects.filter(action__in=["organization:decline", "organization:withdraw"])
    assert sorted(acts.values_list("actor", "object")) == [("alice", "acme/mona"), ("carol", "acme/carol")]
    assert Membership.objects.count() == 4


def test_an_administrator_of_the_hub_adds_in_a_session_and_never_by_token(ask, cast):
    assert ask("ada", "write").put(f"{MEMBERS}/carol", {"role": "read"}, "application/json").status_code == 403
    put = ask("ada").put(f"{MEMBERS}/carol", {"role": "read"}, "application/json")
    assert (put.status_code, put.json()["role"]) == (200, "read")
    assert not Invitation.objects.exists()


def test_nobody_else_sees_or_changes_who_is_in_or_asked_in(ask, cast):
    ask("alice", "write").put(f"{HERE}/invitations/carol", {"role": "read"}, "application/json")
    for who, code in (("bob", "not-allowed"), ("carol", "not-allowed"), ("anonymous", "sign-in-required")):
        client = ask(who)
        for answer in (
            client.get(MEMBERS),
            client.get(f"{HERE}/invitations"),
            client.delete(f"{HERE}/invitations/carol"),
            client.delete(f"{MEMBERS}/erin"),
            client.put(f"{MEMBERS}/{who}", {"role": "admin"}, "application/json"),
            client.put(f"{HERE}/invitations/{who}", {"role": "admin"}, "application/json"),
            client.patch(HERE, {"name": "mine"}, "application/json"),
            client.delete(HERE),
        ):
            assert answer.json()["code"] == code
    assert ask("alice", "read").put(f"{MEMBERS}/carol", {"role": "read"}, "application/json").status_code == 403
    assert ask("alice", "fine-grained").delete(HERE).status_code == 403
    assert ask("alice", "write").get("/api/v1/organizations/nobody/members").json()["code"] == "namespace-not-found"
    assert ask("carol").post(f"{MINE}/nobody/accept").json()["code"] == "invitation-not-found"


def test_an_organisation_keeps_an_administrator(ask, cast):
    for answer in (
        ask("alice", "write").put(f"{MEMBERS}/alice", {"role": "read"}, "application/json"),
        ask("alice", "write").delete(f"{MEMBERS}/ALICE"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last-administrator")
        assert answer.json()["detail"] == "acme would be left without an administrator."
    assert Membership.objects.get(user=cast["alice"]).role == "admin"


def test_administrators_make_members_at_once_but_not_of_who_left(ask, cast):
    alice, carol = ask("alice", "write"), ask("carol", "write")
    put = alice.put(f"{MEMBERS}/carol", {"role": "write"}, "application/json")
    assert (put.status_code, put.json()) == (200, {"name": "carol", "full_name": "Carol", "role": "write"})
    assert carol.get("/api/v1/me").json()["organizations"] == [{"name": "acme", "role": "write"}]
    assert carol.delete(f"{MEMBERS}/carol").status_code == 204
    again = alice.put(f"{MEMBERS}/carol", {"role": "write"}, "application/json")
    assert (again.status_code, again.json()["code"]) == (409, "invitation-declined")
    assert alice.put(f"{HERE}/invitations/carol", {"role": "write"}, "application/json").status_code == 200
    assert carol.post(f"{MINE}/acme/accept").json() == {"organization": "acme", "role": "write"}


def test_a_member_leaves_by_himself(ask, cast):
    assert ask("bob", "read").delete(f"{MEMBERS}/bob").status_code == 403
    assert ask("bob", "write").delete(f"{MEMBERS}/bob").status_code == 204
    assert not Membership.objects.filter(user=cast["bob"]).exists()


def test_an_organisation_is_founded_changed_renamed_and_deleted(ask, cast):
    carol = ask("carol", "write")
    made = carol.post("/api/v1/organizations", {"name": "guild", "full_name": "The Guild"}, "application/json")
    assert (made.status_code, made.json()) == (
        201,
        {
            "name": "guild",
            "full_name": "The Guild",
            "members": 1,
            "role": "admin",
            "default_visibility": "public",
            "second_factor_required": False,
        },
    )
    here = "/api/v1/organizations/guild"
    changed = carol.patch(here, {"default_visibility": "private"}, "application/json").json()
    assert (changed["full_name"], changed["default_visibility"]) == ("The Guild", "private")
    assert ask().get(here).json() == {
        **changed,
        "role": None,
        "default_visibility": None,
        "second_factor_required": None,
    }
    both = carol.patch(here, {"name": "acme", "full_name": "Acme"}, "application/json")
    assert both.json()["code"] == "name-taken"
    assert ask().get(here).json()["full_name"] == "The Guild", "all of it, or nothing"
    assert carol.patch(here, {"name": "a--b"}, "application/json").json()["code"] == "name-invalid"
    assert carol.patch(here, {"name": "works"}, "application/json").json()["name"] == "works"
    assert ask().get(here).json()["name"] == "works"
    again = ask("bob", "write").post("/api/v1/organizations", {"name": "GUILD"}, "application/json")
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")
    assert carol.delete("/api/v1/organizations/works").status_code == 204
    assert ask().get("/api/v1/organizations/works").json()["code"] == "namespace-not-found"
    assert ask().get(here).json()["code"] == "namespace-not-found"


def test_one_that_holds_repositories_stays_and_says_which(ask, cast):
    for number in range(7):
        cast.repository(f"acme/a{number}")
    answer = ask("alice", "write").delete(HERE)
    assert (answer.status_code, answer.json()["code"]) == (409, "organization-not-empty")
    assert "acme/a0 (model)" in answer.json()["detail"]
    assert "and 2 more" in answer.json()["detail"]
    assert Organization.objects.count() == 1


@pytest.mark.parametrize("body", [{"role": "emperor"}, {}, {"role": None}, []])
def test_a_role_that_is_none_is_refused(ask, cast, body):
    answer = ask("alice", "write").put(f"{MEMBERS}/carol", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")


def test_lists_of_invitations_cost_the_same_however_long(ask, cast):
    alice = ask("alice")
    for who in ("carol", "mona", "ada"):
        alice.put(f"{HERE}/invitations/{who}", {"role": "read"}, "application/json")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            alice.get(f"{HERE}/invitations")
        counts.append(len(asked))
        Invitation.objects.first().delete()
    assert counts[0] == counts[1]
