"""Machines, which have accounts: what they may do, and what is left of them. Tokens that name a beginning."""

import pytest
from django.contrib.auth import authenticate

from registry.kernel import policy
from registry.kernel.errors import (
    NameInvalid,
    NamespaceNotFound,
    NotAllowed,
    RegistryError,
    SessionRequired,
    TokenInvalid,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import AuditEvent, Repository, User
from registry.people import accounts
from registry.people.organizations import invitations, organizations
from registry.people.tokens import id_tokens, tokens
from registry.publish import repositories
from registry.repos import lookup
from tests.cast import Cast


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
    by = tokens.caller_of(cast.robot(**{"acme/nightly-*": "write", "acme/release": "read"}))
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
    by = tokens.caller_of(cast.robot(**{"acme/nightly-*": "create", "acme/fixed": "write"}))
    made = repositories.create("acme/nightly-7", by)
    assert made.created_by.username == "acme+deploy"
    assert may(by, Permission.PUSH, "acme/nightly-7")
    for name in ("acme/fixed", "acme/else", "alice/nightly-1"):
        with pytest.raises(NotAllowed):
            repositories.create(name, by)


def test_a_robot_has_no_account_to_act_with(cast: Cast):
    by = tokens.caller_of(cast.robot(acme__x="write"))
    for act in (
        lambda: policy.require_person(by, "follow"),
        lambda: organizations.create_as("mine", by),
        lambda: policy.require_moderator(by),
        lambda: policy.require_admin(by),
        lambda: organizations.require_administered("acme", by),
    ):
        with pytest.raises((NotAllowed, SessionRequired)):
            act()


def test_a_robot_cannot_sign_in_and_is_no_person(cast: Cast):
    cast.robot(acme__x="write")
    User.objects.filter(username="acme+deploy").update(password=cast["alice"].password)  # as if somebody gave it one
    assert authenticate(username="acme+deploy", password="correct horse battery") is None
    for find in (accounts.get_namespace, accounts.resolve_namespace, accounts.get_person):
        with pytest.raises(NamespaceNotFound):
            find("acme+deploy")
    with pytest.raises(NamespaceNotFound):
        invitations.invite_or_add("acme", "acme+deploy", "read", cast.session("alice"))
    with pytest.raises(ValueInvalid, match="is a robot"):
        accounts.set_role(User.objects.get(username="acme+deploy"), "admin", by=None)


def test_nobody_registers_a_name_that_looks_like_a_machine(cast: Cast):
    for name in ("acme+deploy", "publisher:acme-train"):
        with pytest.raises(NameInvalid):
            accounts.create_person(name)


def test_the_robots_of_an_organisation_that_is_deleted_end(cast: Cast):
    value = cast.robot(**{"acme/*": "create"})
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
