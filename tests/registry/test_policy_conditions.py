"""The rules of policy.py beside its table: each condition for lists is the rule for one row, and each guard guards."""

import pytest
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.errors import (
    NotAllowed,
    RepositoryNotFound,
    RepositoryQuarantined,
    SessionRequired,
    SignInRequired,
)
from registry.kernel.policy import NOBODY, Permission
from registry.models import Ref, Repository, User
from registry.people.tokens import tokens
from registry.publish import repositories
from tests.registry.test_policy import WHO, caller, world
from tests.sweep import sweep

__all__ = ["world"]  # a fixture

PEOPLE = [who for who in WHO if ":" not in who]


@sweep("who", WHO)
def test_a_gate_in_a_list_is_the_gate_of_one_repository(cast, world, who):
    for repository in Repository.objects.select_related("namespace__person"):
        by = caller(cast, who, repository)
        if policy.may_see(by, repository):
            passes = Repository.objects.filter(policy.ungated_for(by), pk=repository.pk).exists()
            assert passes == policy.passes_gate(by, repository), (who, repository.full_name)


def test_only_an_accepted_request_opens_a_gate(cast, world):
    repository = world["gated, carol let in"]
    request = repository.access_requests.get()
    assert policy.passes_gate(cast.session("carol"), repository)
    assert not policy.passes_gate(NOBODY, repository)
    type(request).objects.update(status="rejected")
    assert not policy.passes_gate(cast.session("carol"), repository)
    assert not Repository.objects.filter(policy.ungated_for(cast.session("carol")), pk=repository.pk).exists()


@sweep("who", WHO)
def test_rows_of_a_repository_are_listed_where_it_is_listed(cast, world, who):
    Repository.objects.filter(name="public").update(is_main_held=True)
    for repository in Repository.objects.select_related("namespace__person"):
        by = caller(cast, who, repository)
        refs = Ref.objects.filter(repository=repository, name=Ref.MAIN)
        for rows, listed in (
            (policy.has_listed_repository(by), policy.listed_to(by)),
            (policy.has_visible_repository(by), policy.visible_to(by)),
        ):
            expected = Repository.objects.filter(listed, pk=repository.pk).exists()
            assert refs.filter(rows).exists() == expected, (who, repository.full_name)


@pytest.mark.parametrize("who", ["alice", "bob", "dave", "erin"])
def test_a_fine_grained_token_finds_a_held_main_only_where_it_may_write(cast, who):
    granted, other = cast.repository("acme/granted", by="dave"), cast.repository("acme/other", by="dave")
    Repository.objects.update(is_main_held=True)
    for pattern in ("acme__granted", "acme__gr*"):
        by = policy.Caller(user=cast[who], token=None)
        whole = set(Repository.objects.filter(policy.listed_to(by)))
        assert whole == ({granted, other} if who != "erin" else set())
        narrow = caller_with_grant(cast, who, pattern)
        assert set(Repository.objects.filter(policy.listed_to(narrow))) == whole & {granted}


def caller_with_grant(cast, who, pattern):
    return tokens.caller_of(cast.token(who, "fine-grained", **{pattern: "write"}))


def test_a_contributor_finds_the_held_mains_of_their_own_repositories_alone(cast):
    own, other = cast.repository("acme/own", by="dave"), cast.repository("acme/other", by="alice")
    Repository.objects.update(is_main_held=True)
    assert set(Repository.objects.filter(policy.listed_to(cast.session("dave")))) == {own}
    assert set(Repository.objects.filter(policy.listed_to(cast.session("bob")))) == {own, other}


def test_pages_quote_files_of_public_repositories_and_of_those_with_the_same_readers(cast, world):
    public, private = world["public"], world["private"]
    second = cast.repository("acme/private-too", private=True)
    elsewhere = cast.repository("alice/private", private=True)
    assert policy.may_quote(public, private)
    assert policy.may_quote(private, second)
    assert not policy.may_quote(private, public)
    assert not policy.may_quote(private, elsewhere)
    for state in ("gated", "quarantined", "private, quarantined"):
        assert not policy.may_quote(Repository.objects.get(pk=world[state].pk), second)
    User.objects.filter(username="carol").update(is_active=False)
    assert not policy.may_quote(Repository.objects.get(pk=world["owner suspended"].pk), second)


def test_the_current_row_decides_about_a_late_deed(cast):
    repository, other = cast.repository("acme/late"), cast.repository("acme/other")
    by = cast.session("alice")
    assert policy.require_now(by, Permission.PUSH, repository) == repository
    Repository.objects.filter(pk=repository.pk).update(quarantined_at=timezone.now())
    with pytest.raises(RepositoryQuarantined):
        policy.require_now(by, Permission.PUSH, repository)
    assert policy.require_now(by, Permission.PUSH, other) == other
    repositories.delete(other, by)
    with pytest.raises(RepositoryNotFound):
        policy.require_now(by, Permission.PUSH, other)


@pytest.mark.parametrize("who", PEOPLE)
def test_administrators_alone_administer_and_moderators_too_moderate(cast, who):
    by = cast.session(who)
    assert policy.is_hub_admin(by) == (who == "ada")
    for guard, allowed in ((policy.require_admin, {"ada"}), (policy.require_moderator, {"ada", "mona"})):
        if who in allowed:
            assert guard(by) == cast[who]
        else:
            with pytest.raises(SignInRequired if who == "anonymous" else NotAllowed):
                guard(by)


@pytest.mark.parametrize("name", ["mona", "ada"])
def test_a_token_of_staff_has_no_rights_of_staff(cast, world, name):
    by = caller(cast, f"{name}:write", world["public"])
    assert not policy.is_hub_admin(by)
    for guard in (policy.require_admin, policy.require_moderator):
        with pytest.raises(SessionRequired):
            guard(by)


def test_a_deed_of_a_person_needs_a_person_who_may_write(cast, world):
    assert policy.require_person(cast.session("carol"), "like") == cast["carol"]
    assert policy.require_person(caller(cast, "carol:write", world["public"]), "like") == cast["carol"]
    with pytest.raises(SignInRequired, match="like"):
        policy.require_person(NOBODY, "like")
    for who in ("carol:read", "alice:fine-write"):
        with pytest.raises(NotAllowed, match="like"):
            policy.require_person(caller(cast, who, world["public"]), "like")


def test_nobody_creates_without_signing_in(cast):
    with pytest.raises(SignInRequired):
        policy.require_namespace(NOBODY, cast.acme.namespace, "new", "model")


def test_rows_of_ones_own_namespaces_are_found_but_not_with_a_narrow_token(cast, world):
    for who, expected in (("alice", True), ("erin", True), ("carol", False), ("anonymous", False)):
        rows = Repository.objects.filter(policy.in_own_namespace(cast.session(who)), name="public")
        assert rows.exists() == expected
    narrow = caller(cast, "alice:fine-write", world["public"])
    assert not Repository.objects.filter(policy.in_own_namespace(narrow)).exists()


def test_rows_of_suspended_owners_are_told_apart(cast, world):
    User.objects.filter(username="carol").update(is_active=False)
    active = Repository.objects.filter(policy.owner_is_active())
    assert set(Repository.objects.all()) - set(active) == {world["owner suspended"]}
