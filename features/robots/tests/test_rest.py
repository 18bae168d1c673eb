"""Robots over REST: who may, what is shown once, and what ends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from features.robots import verbs
from registry.kernel.errors import NotAllowed, SessionRequired, SignInRequired, TokenInvalid, ValueInvalid
from registry.models import AuditEvent, Token, User
from registry.people.tokens import tokens
from tests.registry.test_required_second_factor import give_factor, require
from tests.sweep import sweep

ROBOTS = "/api/v1/organizations/acme/robots"
JSON = "application/json"


def in_days(days: int) -> str:
    return (timezone.now() + timedelta(days=days)).isoformat()


def test_a_robot_is_made_given_a_token_and_removed(ask, cast):
    alice = ask("alice")
    made = alice.post(ROBOTS, {"name": "deploy", "purpose": "nightly builds"}, JSON)
    assert made.status_code == 201
    assert {key: made.json()[key] for key in ("name", "username", "purpose", "tokens")} == {
        "name": "deploy", "username": "acme+deploy", "purpose": "nightly builds", "tokens": [],
    }  # fmt: skip
    wish = {"name": "nightly", "expires_at": in_days(30), "repos": {"acme/nightly-*": "create"}}
    token = alice.post(f"{ROBOTS}/deploy/tokens", wish, JSON)
    assert (token.status_code, token["Cache-Control"]) == (201, "no-store")
    value = token.json()["value"]
    assert tokens.caller_of(value).user == User.objects.get(username="acme+deploy")
    shown = alice.get(ROBOTS)
    assert [row["name"] for row in shown.json()["items"][0]["tokens"]] == ["nightly"]
    assert value not in shown.content.decode()
    assert alice.get(f"{ROBOTS}/DEPLOY").json() == shown.json()["items"][0]
    for change in ({"expires_at": in_days(400)}, {"repos": {"alice/x": "read"}}, {"repos": {"acme/x": "own"}}):
        assert alice.post(f"{ROBOTS}/deploy/tokens", {**wish, "name": "other", **change}, JSON).status_code == 400
    assert alice.delete(f"{ROBOTS}/deploy/tokens/{token.json()['id']}").status_code == 204
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert alice.delete(f"{ROBOTS}/deploy").status_code == 204
    assert alice.get(f"{ROBOTS}/deploy").json()["code"] == "robot-not-found"
    actions = AuditEvent.objects.filter(actor="alice").order_by("pk").values_list("action", flat=True)
    assert list(actions)[-4:] == ["robot:create", "token:create", "token:revoke", "robot:remove"]


@pytest.fixture
def machines(cast):
    """A robot of acme with a token."""
    alice = cast.session("alice")
    verbs.create_robot("acme", "deploy", alice)
    return verbs.create_token("acme", "deploy", "x", {"acme/*": "write"}, timezone.now() + timedelta(days=1), alice)


@sweep(
    "who, token, status",
    [
        ("anonymous", "", 401),
        ("carol", "", 403),
        ("bob", "", 403),
        ("dave", "", 403),
        ("erin", "", 403),
        ("mona", "", 403),
        ("alice", "read", 403),
        ("alice", "write", 403),
        ("ada", "write", 403),
        ("robot", "", 403),
        ("suspended", "", 401),
        ("without a factor", "", 403),
        ("departed", "", 403),
    ],
)
def test_machines_are_the_business_of_administrators_in_a_session(ask, cast, machines, who, token, status):
    value = machines
    number = Token.objects.get(user__username="acme+deploy").pk
    is_alice = who in {"suspended", "departed", "without a factor"}
    asking = ask(value=value) if who == "robot" else ask("alice" if is_alice else who, token)
    if who == "suspended":
        User.objects.filter(username="alice").update(is_active=False)
    elif who == "departed":
        cast["alice"].memberships.all().delete()
    elif who == "without a factor":
        give_factor(cast["alice"])
        require(cast)
        cast["alice"].authenticator_set.all().delete()
    before = (User.objects.count(), Token.objects.filter(user__username="acme+deploy").count())
    wish = {"name": "t", "expires_at": in_days(3), "repos": {"acme/x": "read"}}
    for answer in (
        asking.get(ROBOTS),
        asking.post(ROBOTS, {"name": "other"}, JSON),
        asking.get(f"{ROBOTS}/deploy"),
        asking.delete(f"{ROBOTS}/deploy"),
        asking.post(f"{ROBOTS}/deploy/tokens", wish, JSON),
        asking.delete(f"{ROBOTS}/deploy/tokens/{number}"),
    ):
        assert answer.status_code == status, answer.content
        assert who != "without a factor" or answer.json()["code"] == "second-factor-required"
    assert (User.objects.count(), Token.objects.filter(user__username="acme+deploy").count()) == before
    assert User.objects.get(username="acme+deploy").is_active


def test_administrators_of_the_hub_end_machines_with_a_reason(cast, machines):
    value = machines
    robot, ada = User.objects.get(username="acme+deploy"), cast.session("ada")
    for who, refusal in (("anonymous", SignInRequired), ("alice", NotAllowed), ("mona", NotAllowed)):
        with pytest.raises(refusal):
            verbs.disable(robot, cast.session(who), reason="x")
    with pytest.raises(SessionRequired):
        verbs.disable(robot, tokens.caller_of(cast.token("ada")), reason="x")
    with pytest.raises(ValueInvalid, match="not a robot"):
        verbs.disable(cast["carol"], ada, reason="x")
    assert verbs.disable(robot, ada, reason="Its token leaked.")
    assert not verbs.disable(User.objects.get(pk=robot.pk), ada, reason="again")
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert AuditEvent.objects.get(action="robot:remove").reason == "Its token leaked."


def test_the_administration_lists_machines_and_ends_them(ask, machines):
    ada = ask("ada")
    assert "acme+deploy" in ada.get("/admin/registry/user/?kind__exact=robot").content.decode()
    robot = User.objects.get(username="acme+deploy")
    ada.post("/admin/registry/user/act/disable/", {"id": robot.pk, "reason": "Leaked."})
    assert not User.objects.get(pk=robot.pk).is_active
