"""Robots: who makes them and their tokens, and what is left of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from features.robots import verbs
from features.robots.verbs import RobotNotFound
from registry.kernel.errors import (
    NameInvalid,
    NameTaken,
    NotAllowed,
    SessionRequired,
    SignInRequired,
    TokenInvalid,
    ValueInvalid,
)
from registry.models import AuditEvent
from registry.people.tokens import tokens
from registry.publish import moves, repositories
from tests.cast import Cast

IN_A_MONTH = timedelta(days=30)


@pytest.mark.parametrize("who", ["bob", "erin", "carol", "mona", "anonymous"])
def test_administrators_of_the_organisation_alone_have_robots(cast: Cast, who: str):
    verbs.create_robot("acme", "deploy", cast.session("alice"))
    for act in (
        lambda by: verbs.list_robots("acme", by),
        lambda by: verbs.create_robot("acme", "mine", by),
        lambda by: verbs.create_token("acme", "deploy", "x", {"acme/x": "read"}, timezone.now() + IN_A_MONTH, by),
        lambda by: verbs.remove_robot("acme", "deploy", by),
    ):
        with pytest.raises((NotAllowed, SignInRequired)):
            act(cast.session(who))


def test_no_token_manages_robots(cast: Cast):
    by = tokens.caller_of(cast.token("alice"))
    with pytest.raises(SessionRequired):
        verbs.create_robot("acme", "deploy", by)


def test_a_robot_that_is_not_there_is_robot_not_found(cast: Cast):
    with pytest.raises(RobotNotFound) as refusal:
        verbs.get_robot("acme", "deploy", cast.session("alice"))
    assert refusal.value.code == "robot-not-found"


@pytest.mark.parametrize("days", [None, -1, 0, 367, 5000])
def test_the_token_of_a_robot_ends_within_a_year(cast: Cast, days: int | None):
    verbs.create_robot("acme", "deploy", cast.session("alice"))
    end = None if days is None else timezone.now() + timedelta(days=days)
    with pytest.raises(ValueInvalid, match="within a year"):
        verbs.create_token("acme", "deploy", "x", {"acme/x": "read"}, end, cast.session("alice"))


@pytest.mark.parametrize("pattern", ["alice/x", "alice/*", "*", "acme", "acme/a*b", "*/x", "acme/x/y", "ac*/x"])
def test_the_token_of_a_robot_names_repositories_of_its_organisation(cast: Cast, pattern: str):
    verbs.create_robot("acme", "deploy", cast.session("alice"))
    end = timezone.now() + IN_A_MONTH
    with pytest.raises((ValueInvalid, NameInvalid)):
        verbs.create_token("acme", "deploy", "x", {pattern: "read"}, end, cast.session("alice"))


def test_a_robot_that_is_removed_ends_at_once_and_keeps_its_name(cast: Cast):
    alice, end = cast.session("alice"), timezone.now() + IN_A_MONTH
    verbs.create_robot("acme", "deploy", alice)
    value = verbs.create_token("acme", "deploy", "nightly", {"acme/*": "create"}, end, alice)
    repository = repositories.create("acme/made", tokens.caller_of(value))
    verbs.remove_robot("acme", "deploy", alice)
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert verbs.list_robots("acme", cast.session("alice")) == []
    assert repository.revisions.get().author.username == "acme+deploy"
    with pytest.raises(NameTaken):
        verbs.create_robot("acme", "deploy", cast.session("alice"))
    actions = AuditEvent.objects.filter(object__startswith="acme+deploy").values_list("actor", "action")
    assert ("alice", "robot:create") in actions
    assert ("alice", "token:create") in actions
    assert ("alice", "token:revoke") in actions
    assert ("alice", "robot:remove") in actions


def test_a_renamed_organisation_has_one_robot_of_a_name(cast: Cast):
    old = verbs.create_robot("acme", "deploy", cast.session("alice"))
    moves.rename("acme", "labs", cast.session("alice"))
    with pytest.raises(NameTaken):
        verbs.create_robot("labs", "Deploy", cast.session("alice"))
    assert verbs.get_robot("labs", "deploy", cast.session("alice")) == old
