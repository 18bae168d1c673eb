"""The rules of policy.py beside its table: each condition for lists is the rule for one row, and each guard guards."""

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.errors import (
    EmailUnverified,
    NotAllowed,
    PublishersOnly,
    PublishingPaused,
    RepositoryNotFound,
    RepositoryQuarantined,
    SessionRequired,
    SignInRequired,
)
from registry.kernel.policy import NOBODY, Permission
from registry.models import Ref, Repository, TrustedPublisher, User
from registry.people import accounts
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


def test_a_paused_person_publishes_nothing_and_keeps_their_settings(cast):
    repository, by = cast.repository("alice/own"), cast.session("alice")
    account = accounts.create_machine("publisher:own", User.Kind.PUBLISHER, cast["alice"].namespace)
    place = {"namespace": repository.namespace, "name": "own", "repository": repository}
    TrustedPublisher.objects.create(account=account, issuer="ci", claims={}, **place)
    value = tokens.create_token(account, "run", "fine-grained", grants={"alice/own": "write"})
    for ends_in, is_paused in ((timedelta(days=1), True), (-timedelta(seconds=1), False)):
        User.objects.filter(username="alice").update(paused_until=timezone.now() + ends_in)
        for who in (cast.session("alice"), tokens.caller_of(value)):
            if is_paused:
                with pytest.raises(PublishingPaused):
                    policy.require(who, Permission.PUSH, repository)
            else:
                assert policy.require(who, Permission.PUSH, repository) == repository
        assert policy.require(by, Permission.CONFIGURE, repository) == repository
        assert policy.require(by, Permission.INSPECT, repository) == repository


def test_who_has_proven_no_address_publishes_nothing_where_the_hub_sends_mail(cast, settings):
    repository = cast.repository("acme/public")
    User.objects.update(email_verified=False)
    for sender, is_refused in (("hub@example.org", True), ("", False)):
        settings.MAIL_FROM = sender
        by = cast.session("alice")
        deeds = (
            lambda by=by: policy.require(by, Permission.PUSH, repository),
            lambda by=by: policy.require_person(by, "like"),
            lambda by=by: policy.require_namespace(by, cast.acme.namespace, "new", "model"),
        )
        for deed in deeds:
            if is_refused:
                with pytest.raises(EmailUnverified):
                    deed()
            else:
                deed()
        assert policy.require(by, Permission.CONFIGURE, repository) == repository
        assert policy.require_person(by, "read", publishes=False) == cast["alice"]


def test_where_publishers_alone_push_a_token_of_anybody_else_does_not(cast, world):
    repository = world["public"]
    repository.publishers_only = True
    for who, is_refused in (("alice:write", True), ("robot:fine-write", True), ("publisher:fine-write", False)):
        by = caller(cast, who, repository)
        if is_refused:
            with pytest.raises(PublishersOnly):
                policy.require(by, Permission.PUSH, repository)
        else:
            assert policy.require(by, Permission.PUSH, repository) == repository
    assert policy.require(cast.session("alice"), Permission.PUSH, repository) == repository


@pytest.mark.parametrize(
    ("who", "reads", "writes"),
    [
        ("alice", True, True),
        ("alice:write", True, True),
        ("alice:read", True, False),
        ("alice:fine-write", False, False),
        ("bob:write", False, False),
        ("ada", True, True),
        ("ada:write", False, False),
        ("mona", False, False),
    ],
)
def test_an_organisation_is_administered_by_a_token_only_as_far_as_its_role_goes(cast, world, who, reads, writes):
    by = caller(cast, who, world["public"])
    for only, allowed in (({"writing": False}, reads), ({}, writes)):
        if allowed:
            assert policy.require_administered(by, cast.acme, **only) == by.user
        else:
            with pytest.raises(NotAllowed):
                policy.require_administered(by, cast.acme, **only)


def test_a_publisher_creates_the_repository_that_it_waits_for_and_no_other(cast):
    account = accounts.create_machine("publisher:acme-new", User.Kind.PUBLISHER, cast.acme.namespace)
    row = {"namespace": cast.acme.namespace, "type": "model", "name": "new", "issuer": "ci", "claims": {}}
    waiting = TrustedPublisher.objects.create(account=account, **row)
    value = tokens.create_token(account, "run", "fine-grained", grants={"acme/new": "create"})
    policy.require_namespace(tokens.caller_of(value), cast.acme.namespace, "new", "model")
    for name, type in (("new", "dataset"), ("other", "model")):
        with pytest.raises(NotAllowed):
            policy.require_namespace(tokens.caller_of(value), cast.acme.namespace, name, type)
    waiting.repository = cast.repository("acme/elsewhere")
    waiting.save()
    with pytest.raises(NotAllowed):
        policy.require_namespace(tokens.caller_of(value), cast.acme.namespace, "new", "model")


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
