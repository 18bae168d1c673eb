"""Robots and trusted publishers: who makes them, what they may do, and what is left of them."""

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.errors import (
    NameInvalid,
    NamespaceNotFound,
    NameTaken,
    NotAllowed,
    RegistryError,
    RobotNotFound,
    SessionRequired,
    SignInRequired,
    TokenInvalid,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import AuditEvent, Repository, Token, User
from registry.people import accounts
from registry.people.organizations import invitations, organizations, robots
from registry.people.tokens import id_tokens, tokens
from registry.publish import moves, repositories
from registry.repos import lookup
from tests.cast import Cast

IN_A_MONTH = timedelta(days=30)


def robot_token(cast: Cast, **grants: str) -> Caller:
    """Return a robot of acme with a token for these repositories (namespace__name, a star for any rest)."""
    User.objects.filter(username="acme+deploy").exists() or robots.create_robot("acme", "deploy", cast.session("alice"))
    patterns = {name.replace("__", "/").replace("STAR", "*"): right for name, right in grants.items()}
    end = timezone.now() + IN_A_MONTH
    name = f"token {Token.objects.count()}"
    return tokens.caller_of(robots.create_token("acme", "deploy", name, patterns, end, cast.session("alice")))


def may(by: Caller, permission: Permission, name: str) -> bool:
    try:
        lookup.find(name, by, permission)
    except RegistryError:
        return False
    return True


# --- robots ----------------------------------------------------------------------------------------------------------
def test_a_robot_does_what_its_token_names_and_nothing_else(cast: Cast):
    for name in ("nightly-1", "nightly-2", "release"):
        cast.repository(f"acme/{name}", private=True)
    by = robot_token(cast, **{"acme__nightly-STAR": "write", "acme__release": "read"})
    assert may(by, Permission.PUSH, "acme/nightly-1")
    assert may(by, Permission.PUSH, "ACME/Nightly-2")
    assert may(by, Permission.DOWNLOAD, "acme/release")
    assert not may(by, Permission.PUSH, "acme/release")
    assert not may(by, Permission.CONFIGURE, "acme/nightly-1")
    cast.repository("acme/other", private=True)
    assert not may(by, Permission.READ, "acme/other")
    shown = Repository.objects.filter(policy.visible_to(by)).values_list("name", flat=True)
    assert sorted(shown) == ["nightly-1", "nightly-2", "release"]


def test_a_robot_creates_what_its_token_says_it_creates(cast: Cast):
    by = robot_token(cast, **{"acme__nightly-STAR": "create", "acme__fixed": "write"})
    made = repositories.create("acme/nightly-7", by)
    assert made.created_by.username == "acme+deploy"
    assert may(by, Permission.PUSH, "acme/nightly-7")
    for name in ("acme/fixed", "acme/else", "alice/nightly-1"):
        with pytest.raises(NotAllowed):
            repositories.create(name, by)


def test_a_robot_has_no_account_to_act_with(cast: Cast):
    by = robot_token(cast, acme__x="write")
    for act in (
        lambda: policy.require_person(by, "follow"),
        lambda: organizations.create_as("mine", by),
        lambda: policy.require_moderator(by),
        lambda: policy.require_admin(by),
        lambda: organizations.require_administered("acme", by),
        lambda: robots.list_robots("acme", by),
    ):
        with pytest.raises((NotAllowed, SessionRequired)):
            act()


def test_a_robot_cannot_sign_in_and_is_no_person(cast: Cast):
    robots.create_robot("acme", "deploy", cast.session("alice"))
    User.objects.filter(username="acme+deploy").update(password=cast["alice"].password)  # as if somebody gave it one
    assert authenticate(username="acme+deploy", password="correct horse battery") is None
    for find in (accounts.get_namespace, accounts.resolve_namespace, accounts.get_person):
        with pytest.raises(NamespaceNotFound):
            find("acme+deploy")
    with pytest.raises(NamespaceNotFound):
        invitations.invite_or_add("acme", "acme+deploy", "read", cast.session("alice"))
    with pytest.raises(ValueInvalid, match="is a machine"):
        accounts.set_role(User.objects.get(username="acme+deploy"), "admin", by=None)


def test_nobody_registers_a_name_that_looks_like_a_machine(cast: Cast):
    for name in ("acme+deploy", "publisher:acme-train"):
        with pytest.raises(NameInvalid):
            accounts.create_person(name)


@pytest.mark.parametrize("who", ["bob", "erin", "carol", "mona", "anonymous"])
def test_administrators_of_the_organisation_alone_have_robots(cast: Cast, who: str):
    robots.create_robot("acme", "deploy", cast.session("alice"))
    for act in (
        lambda by: robots.list_robots("acme", by),
        lambda by: robots.create_robot("acme", "mine", by),
        lambda by: robots.create_token("acme", "deploy", "x", {"acme/x": "read"}, timezone.now() + IN_A_MONTH, by),
        lambda by: robots.remove_robot("acme", "deploy", by),
    ):
        with pytest.raises((NotAllowed, SignInRequired)):
            act(cast.session(who))


def test_no_token_manages_robots(cast: Cast):
    by = tokens.caller_of(cast.token("alice"))
    with pytest.raises(SessionRequired):
        robots.create_robot("acme", "deploy", by)


def test_a_robot_that_is_not_there_is_robot_not_found(cast: Cast):
    with pytest.raises(RobotNotFound) as refusal:
        robots.get_robot("acme", "deploy", cast.session("alice"))
    assert refusal.value.code == "robot-not-found"


@pytest.mark.parametrize("days", [None, -1, 0, 367, 5000])
def test_the_token_of_a_robot_ends_within_a_year(cast: Cast, days: int | None):
    robots.create_robot("acme", "deploy", cast.session("alice"))
    end = None if days is None else timezone.now() + timedelta(days=days)
    with pytest.raises(ValueInvalid, match="within a year"):
        robots.create_token("acme", "deploy", "x", {"acme/x": "read"}, end, cast.session("alice"))


@pytest.mark.parametrize("pattern", ["alice/x", "alice/*", "*", "acme", "acme/a*b", "*/x", "acme/x/y", "ac*/x"])
def test_the_token_of_a_robot_names_repositories_of_its_organisation(cast: Cast, pattern: str):
    robots.create_robot("acme", "deploy", cast.session("alice"))
    end = timezone.now() + IN_A_MONTH
    with pytest.raises((ValueInvalid, NameInvalid)):
        robots.create_token("acme", "deploy", "x", {pattern: "read"}, end, cast.session("alice"))


def test_a_robot_that_is_removed_ends_at_once_and_keeps_its_name(cast: Cast):
    by = robot_token(cast, acme__STAR="create")
    repository = repositories.create("acme/made", by)
    value = robots.create_token(
        "acme", "deploy", "last", {"acme/made": "write"}, timezone.now() + IN_A_MONTH, cast.session("alice")
    )
    robots.remove_robot("acme", "deploy", cast.session("alice"))
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert robots.list_robots("acme", cast.session("alice")) == []
    assert repository.revisions.get().author.username == "acme+deploy"
    with pytest.raises(NameTaken):
        robots.create_robot("acme", "deploy", cast.session("alice"))
    actions = AuditEvent.objects.filter(object__startswith="acme+deploy").values_list("actor", "action")
    assert ("alice", "robot:create") in actions
    assert ("alice", "token:create") in actions
    assert ("alice", "token:revoke") in actions
    assert ("alice", "robot:remove") in actions


def test_a_renamed_organisation_has_one_robot_of_a_name(cast: Cast):
    old = robots.create_robot("acme", "deploy", cast.session("alice"))
    moves.rename("acme", "labs", cast.session("alice"))
    with pytest.raises(NameTaken):
        robots.create_robot("labs", "Deploy", cast.session("alice"))
    assert robots.get_robot("labs", "deploy", cast.session("alice")) == old


def test_the_robots_of_an_organisation_that_is_deleted_end(cast: Cast):
    value = robots.create_token(
        "acme",
        robots.create_robot("acme", "deploy", cast.session("alice")).username.partition("+")[2],
        "x",
        {"acme/*": "create"},
        timezone.now() + IN_A_MONTH,
        cast.session("alice"),
    )
    organizations.delete_organization("acme", cast.session("alice"))
    with pytest.raises(TokenInvalid):
        tokens.caller_of(value)
    assert not User.objects.exclude(kind="person").filter(is_active=True).exists()


# --- patterns in tokens of people ------------------------------------------------------------------------------------
def test_a_token_of_a_person_may_name_a_beginning(cast: Cast):
    for name in ("reviews-en", "reviews-de", "routes", "reviews"):
        cast.repository(f"acme/{name}", private=True)
    value = tokens.create_token(
        cast["bob"], "ci", "fine-grained", grants={"Acme/Reviews-*": "write", "acme/routes": "read"}
    )
    by = tokens.caller_of(value)
    assert [may(by, Permission.PUSH, f"acme/{name}") for name in ("reviews-en", "reviews-de", "routes", "reviews")] == [
        True,
        True,
        False,
        False,
    ]
    assert sorted(Repository.objects.filter(policy.visible_to(by)).values_list("name", flat=True)) == [
        "reviews-de",
        "reviews-en",
        "routes",
    ]


def test_signs_of_a_pattern_are_no_signs_of_the_database(cast: Cast):
    cast.repository("acme/a_b-x", private=True)
    cast.repository("acme/acb-x", private=True)
    by = tokens.caller_of(tokens.create_token(cast["bob"], "ci", "fine-grained", grants={"acme/a_b-*": "read"}))
    assert list(Repository.objects.filter(policy.visible_to(by)).values_list("name", flat=True)) == ["a_b-x"]
    assert not may(by, Permission.READ, "acme/acb-x")


def test_no_person_gets_a_token_that_creates(cast: Cast):
    with pytest.raises(ValueInvalid, match="'create'"):
        tokens.create_token(cast["bob"], "ci", "fine-grained", grants={"acme/*": "create"})


def test_every_token_of_a_person_can_be_revoked_at_once(cast: Cast):
    values = [cast.token("alice"), cast.token("alice", "read")]
    kept = cast.token("bob")
    assert tokens.revoke_all(cast["alice"], by=cast["alice"]) == 2
    for value in values:
        with pytest.raises(TokenInvalid):
            tokens.caller_of(value)
    assert tokens.caller_of(kept).user == cast["bob"]
    assert AuditEvent.objects.filter(action="token:revoke", actor="alice").count() == 2


@pytest.mark.parametrize(
    ("issuer", "claims", "run", "commit"),
    [
        (
            id_tokens.GITHUB,
            {"repository": "acme/train", "run_id": "12", "sha": "a" * 40},
            "https://github.com/acme/train/actions/runs/12",
            f"https://github.com/acme/train/commit/{'a' * 40}",
        ),
        (
            "https://gitlab.acme.org",
            {"project_path": "ml/deep/train", "job_id": "7", "sha": "b" * 40},
            "https://gitlab.acme.org/ml/deep/train/-/jobs/7",
            f"https://gitlab.acme.org/ml/deep/train/-/commit/{'b' * 40}",
        ),
        (id_tokens.GITHUB, {"repository": "x/y?z=1", "run_id": "12"}, "", ""),
        (id_tokens.GITHUB, {"repository": "acme/train", "run_id": "1/../2", "sha": "javascript:"}, "", ""),
        ("https://ci.example.org", {"sub": "job"}, "", ""),
    ],
)
def test_links_lead_to_the_job_and_its_commit(issuer: str, claims: dict, run: str, commit: str):
    assert id_tokens.links(issuer, claims) == (run, commit)
