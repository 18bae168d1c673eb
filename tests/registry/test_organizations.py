"""Organisations: who is asked in and what that gives, other names, and the end; and what attackers try with each."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.kernel.errors import (
    InvitationNotFound,
    LastAdministrator,
    NamespaceNotFound,
    NameTaken,
    NotAllowed,
    OrganizationNotEmpty,
    QuotaExceeded,
    RegistryError,
    RepositoryMoved,
    RepositoryNotFound,
    RepositoryQuarantined,
    TooOften,
)
from registry.kernel.policy import NOBODY, Caller
from registry.models import AuditEvent, FormerName, FormerNamespace, Invitation, Membership, Repository
from registry.moderation import quarantine, suspension
from registry.people import accounts
from registry.people.organizations import invitations, organizations
from registry.publish import moves, repositories
from registry.repos import lookup
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query
from registry.talk import dispatch, feed
from tests.together import at_once


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"


def invite(cast, who="carol", role="read", by="alice"):
    return invitations.invite("acme", who, role, cast.session(by))


def role(who):
    return Membership.objects.filter(user__username=who).values_list("role", flat=True).first()


def nothing_to_accept(cast, who="carol"):
    with pytest.raises(InvitationNotFound):
        invitations.accept("acme", cast.session(who))
    assert not invitations.list_received(cast.session(who))
    assert not invitations.list_sent("acme", cast.session("alice"))
    return role(who) is None


def earlier(**by):
    Invitation.objects.update(asked_at=timezone.now() - timedelta(**by))


# --- what an invitation gives ----------------------------------------------------------------------------------------
def test_who_is_invited_has_no_right_before_he_accepts(cast):
    secret = cast.repository("acme/secret", private=True)
    invite(cast, role="admin")
    with pytest.raises(RepositoryNotFound):
        lookup.find("acme/secret", cast.session("carol"))
    with pytest.raises(NotAllowed):
        organizations.require_administered("acme", cast.session("carol"))
    invitations.accept("Acme", cast.session("carol"))
    assert lookup.find("acme/secret", cast.session("carol")) == secret
    with pytest.raises(InvitationNotFound):
        invitations.accept("acme", cast.session("carol"))


def test_only_the_invited_accepts_and_by_a_token_that_may_write(cast):
    invite(cast)
    for who in ("bob", "mona", "ada", "alice"):
        with pytest.raises(InvitationNotFound):
            invitations.accept("acme", cast.session(who))
    value = cast.token("carol", "read")
    assert Client().post("/api/v1/me/invitations/acme/accept", headers={"authorization": f"Bearer {value}"}).json()[
        "code"
    ] == ("not-allowed")
    assert role("carol") is None


def test_a_suspended_person_is_not_invited_and_looks_like_nobody(cast):
    suspension.suspend(cast["carol"], cast.session("ada"), reason="Spam.")
    for name in ("Carol", "nobody"):
        with pytest.raises(NamespaceNotFound, match=f"There is no person '{name}'"):
            invite(cast, name)


@pytest.mark.parametrize("what", ["the invited", "the inviter", "the role", "old", "withdrawn"])
def test_an_invitation_gives_nothing_when_either_is_suspended_or_it_is_no_longer_meant(cast, what):
    organizations.set_member(cast.acme, cast["bob"], "admin", by=None)
    invite(cast, role="admin", by="bob")
    match what:
        case "the invited":
            suspension.suspend(cast["carol"], cast.session("ada"), reason="Spam.")
        case "the inviter":
            suspension.suspend(cast["bob"], cast.session("ada"), reason="Spam.")
        case "the role":
            invitations.add_member("acme", "bob", "write", cast.session("alice"))
        case "old":
            earlier(days=31)
        case "withdrawn":
            invitations.withdraw("acme", "CAROL", cast.session("alice"))
    assert nothing_to_accept(cast)


def test_whom_the_operator_adds_meanwhile_keeps_the_role_he_got(cast):
    invite(cast, role="read")
    organizations.set_member(cast.acme, cast["carol"], "admin", by=None)
    assert invitations.accept("acme", cast.session("carol")).role == "admin"


# --- how often -------------------------------------------------------------------------------------------------------


def test_who_declined_is_left_alone_for_a_month(cast):
    invite(cast)
    invitations.decline("acme", cast.session("carol"))
    with pytest.raises(RegistryError) as refused:
        invite(cast)
    assert refused.value.code == "invitation-declined"
    Invitation.objects.update(answered_at=timezone.now() - timedelta(days=31))
    assert invite(cast).state == "open"


def test_nobody_invites_the_whole_hub(cast, monkeypatch):
    monkeypatch.setattr(invitations, "MAX_OPEN", 2)
    invite(cast, "carol")
    invite(cast, "mona")
    with pytest.raises(QuotaExceeded):
        invite(cast, "ada")
    monkeypatch.setattr(invitations, "MAX_A_DAY", 2)
    invitations.withdraw("acme", "mona", cast.session("alice"))
    with pytest.raises(TooOften):
        invite(cast, "ada")


# --- leaving ---------------------------------------------------------------------------------------------------------
def test_an_administrator_who_cannot_sign_in_is_not_the_one_who_stays(cast):
    organizations.set_member(cast.acme, cast["bob"], "admin", by=None)
    suspension.suspend(cast["bob"], cast.session("ada"), reason="Gone.")
    with pytest.raises(LastAdministrator, match="acme would be left without an administrator"):
        organizations.leave("acme", cast.session("alice"))
    organizations.remove_member("acme", "bob", cast.session("alice"))


def test_one_leaves_an_organisation_that_never_had_an_administrator(cast):
    made = organizations.create_organization("guild", by=None)
    organizations.set_member(made, cast["carol"], "write", by=None)
    organizations.leave("guild", cast.session("carol"))
    assert role("carol") is None


# --- the end ---------------------------------------------------------------------------------------------------------
def test_a_deleted_organisation_leaves_its_name_reserved(cast):
    invite(cast)
    organizations.delete_organization("ACME", cast.session("alice"))
    organizations.create_as("guild", cast.session("carol"))
    for take in (
        lambda: organizations.create_as("Acme", cast.session("alice")),
        lambda: accounts.create_person("acme"),
        lambda: organizations.create_organization("acme", by=None),
        lambda: moves.rename("guild", "acme", cast.session("carol")),
    ):
        with pytest.raises(NameTaken):
            take()
    assert AuditEvent.objects.filter(action="organization:delete", actor="alice", object="acme").exists()


def test_a_quarantined_repository_keeps_its_organisation(cast):
    bad = cast.repository("acme/bad")
    quarantine.quarantine(bad, cast.session("mona"), reason="Bad.")
    with pytest.raises(OrganizationNotEmpty, match="acme/bad"):
        organizations.delete_organization("acme", cast.session("alice"))
    with pytest.raises(RepositoryQuarantined):
        moves.rename("acme", "works", cast.session("alice"))


def test_what_moved_out_before_is_still_found_from_its_old_address(cast):
    repository = cast.repository("acme/router")
    moves.move(repository, "alice/router", cast.session("alice"))
    organizations.delete_organization("acme", cast.session("alice"))
    with pytest.raises(RepositoryMoved) as moved:
        lookup.find_at_address("acme/router", NOBODY)
    assert moved.value.facts["full_name"] == "alice/router"


def test_names_are_not_hoarded_by_founding_and_deleting(cast, monkeypatch):
    monkeypatch.setattr(organizations, "MAX_ADMINISTERED", 2)
    for name in ("one", "two"):
        organizations.create_as(name, cast.session("carol"))
        organizations.delete_organization(name, cast.session("carol"))
    with pytest.raises(QuotaExceeded):
        organizations.create_as("three", cast.session("carol"))
    FormerNamespace.objects.update(at=timezone.now() - timedelta(days=31))
    assert organizations.create_as("three", cast.session("carol"))


@pytest.mark.parametrize("road", ["set", "invitation"])
def test_names_are_not_hoarded_by_handing_organisations_to_others(cast, monkeypatch, road):
    monkeypatch.setattr(organizations, "MAX_ADMINISTERED", 1)
    organizations.create_as("one", cast.session("carol"))
    alice, carol = cast.session("alice"), cast.session("carol")
    invitations.invite("acme", "carol", "admin", alice)
    roads = {
        "set": lambda: invitations.add_member("acme", "carol", "admin", alice),
        "invitation": lambda: invitations.accept("acme", carol),
    }
    with pytest.raises(QuotaExceeded):
        roads[road]()
    assert not cast.acme.memberships.filter(user=cast["carol"]).exists()


# --- another name ----------------------------------------------------------------------------------------------------
def where(full_name, by=NOBODY, type="model"):
    with pytest.raises(RepositoryMoved) as moved:
        lookup.find_at_address(full_name, by, type=type)
    return moved.value.facts["full_name"]


def test_a_renamed_organisation_takes_everything_along_and_old_addresses_lead_on(cast):
    cast.repository("acme/router")
    cast.repository("acme/gold", type="dataset")
    cast.repository("acme/secret", private=True)
    alice = cast.session("alice")
    moves.rename("acme", "Works", alice)
    assert lookup.find("works/router", NOBODY).full_name == "Works/router"
    assert where("acme/router") == "Works/router"
    assert where("acme/gold", type="dataset") == "Works/gold"
    assert where("ACME/Secret", cast.session("erin")) == "Works/secret"
    with pytest.raises(RepositoryNotFound):
        lookup.find_at_address("acme/secret", cast.session("carol"))
    for address, leads in (
        ("/api/models/acme/router/tree/main?recursive=1", "/api/models/Works/router/tree/main?recursive=1"),
        ("/acme/router/resolve/main/.gitattributes", "/Works/router/resolve/main/.gitattributes"),
        ("/api/v1/adapters/acme/router", "/api/v1/adapters/Works/router"),
        ("/datasets/acme/gold", "/datasets/Works/gold"),
    ):
        answer = Client().get(address)
        assert (answer.status_code, answer["Location"]) == (307, leads)
    assert [row.full_name for row in catalog.search(NOBODY, Query(q="works")).items] == ["Works/router"]
    assert not catalog.search(NOBODY, Query(q="acme")).items
    dispatch.run()
    moved = [row for row in feed.since(0, NOBODY, 100) if row.kind == "move"]
    assert {(row.name, row.data["before"]) for row in moved} == {
        ("Works/router", "acme/router"),
        ("Works/gold", "acme/gold"),
    }
    act = AuditEvent.objects.get(action="organization:rename")
    assert (act.actor, act.before, act.after) == ("alice", "acme", "Works")


def test_nothing_new_comes_under_a_former_name_and_the_refusal_says_the_new_one(cast):
    moves.rename("acme", "works", cast.session("alice"))
    with pytest.raises(NotAllowed) as refused:
        repositories.create("acme/new", cast.session("bob"))
    assert refused.value.fix == "acme is called works now: use that name."
    mine = cast.repository("alice/mine")
    with pytest.raises(NotAllowed):
        moves.move(mine, "acme/mine", cast.session("alice"))


def test_a_second_name_and_a_move_after_it_and_the_way_back(cast):
    repository = cast.repository("acme/router")
    alice = cast.session("alice")
    moves.rename("acme", "two", alice)
    moves.rename("two", "three", alice)
    assert where("acme/router") == where("two/router") == "three/router"
    moves.move(Repository.objects.get(pk=repository.pk), "alice/router", alice)
    assert where("acme/router") == where("three/router") == "alice/router"
    cast.repository("three/router")
    moves.rename("three", "ACME", alice)
    assert lookup.find("acme/router", NOBODY).full_name == "ACME/router"
    assert where("three/router") == "ACME/router", "who had that address last"
    moves.move(lookup.find("acme/router", alice), "ACME/other", alice)
    assert where("acme/router") == "ACME/other"
    assert set(FormerNamespace.objects.values_list("name", flat=True)) == {"two", "three"}


def test_a_name_of_another_case_is_no_other_name(cast):
    cast.repository("acme/router")
    moves.rename("acme", "ACME", cast.session("alice"))
    assert lookup.find("acme/router", NOBODY).full_name == "ACME/router"
    assert not FormerNamespace.objects.exists()
    assert not FormerName.objects.exists()


@pytest.mark.parametrize("name", ["bob", "BOB", "guild", "settings", "-x", "a--b", ""])
def test_a_name_that_is_taken_or_none_changes_nothing(cast, name):
    organizations.create_as("guild", cast.session("carol"))
    with pytest.raises(RegistryError):
        moves.rename("acme", name, cast.session("alice"))
    assert organizations.require_administered("acme", cast.session("alice")).namespace.name == "acme"
    assert not FormerNamespace.objects.exists()


def test_a_former_name_is_nobody_elses_and_one_organisation_has_few(cast, monkeypatch):
    monkeypatch.setattr(moves, "MAX_FORMER", 2)
    alice = cast.session("alice")
    for before, after in (("acme", "two"), ("two", "three")):
        moves.rename(before, after, alice)
    with pytest.raises(QuotaExceeded):
        moves.rename("three", "four", alice)
    assert moves.rename("three", "two", alice).namespace.name == "two"
    for who in ("carol", "alice"):
        with pytest.raises(NameTaken):
            organizations.create_as("acme", cast.session(who))


def test_a_fine_grained_token_reaches_nothing_under_a_name_it_does_not_know(cast):
    cast.repository("acme/secret", private=True)
    value = cast.token("alice", "fine-grained", acme__secret="read")
    headers = {"authorization": f"Bearer {value}"}
    assert Client().get("/api/models/acme/secret", headers=headers).status_code == 200
    moves.rename("acme", "works", cast.session("alice"))
    for name in ("acme", "works"):
        assert Client().get(f"/api/models/{name}/secret", headers=headers).status_code == 404


def test_many_repositories_cost_a_rename_few_questions_each(cast, django_assert_max_num_queries):
    for number in range(12):
        cast.repository(f"acme/a{number}")
    organizations.create_organization("other", by=cast["alice"])  # names are compared with those that are kept
    with django_assert_max_num_queries(20):
        moves.rename("acme", "works", cast.session("alice"))


# --- two at once -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_no_repository_is_left_in_an_organisation_that_is_deleted_at_that_moment(cast):
    alice, bob = cast.session("alice"), cast.session("bob")
    results = at_once(
        lambda: organizations.delete_organization("acme", alice),
        lambda: repositories.create("acme/new", Caller(user=bob.user)),
    )
    made, gone = Repository.objects.filter(name="new").exists(), FormerNamespace.objects.exists()
    assert made != gone, results
    assert isinstance(results[0] if made else results[1], OrganizationNotEmpty | NotAllowed)


@pytest.mark.django_db(transaction=True)
def test_a_name_that_is_given_up_is_not_caught_in_the_air(cast):
    alice, carol = cast.session("alice"), cast.session("carol")
    results = at_once(lambda: moves.rename("acme", "works", alice), lambda: organizations.create_as("acme", carol))
    assert isinstance(results[1], NameTaken), results
