"""Names: the operator's rules, names that look like well-known ones, and how long a former name is kept."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.kernel.errors import ItemNotFound, NameProhibited, NameReserved, NameTaken, ValueInvalid
from registry.kernel.texts.names import is_one_slip, likeness, skeleton
from registry.models import (
    AuditEvent,
    FormerNamespace,
    NameObservation,
    NameRule,
    Namespace,
    OutboxEvent,
    Repository,
)
from registry.people import accounts, name_rules
from registry.people.organizations import organizations
from registry.publish import moves, repositories, retirement
from registry.talk import dispatch
from tests.cast import PASSWORD
from tests.sweep import sweep


def notify() -> None:
    """A broker that takes no message."""


# --- look-alikes -----------------------------------------------------------------------------------------------------
@sweep(
    "name, known",
    [
        ("meta-IIama", "meta-llama"),
        ("Meta_Llama", "meta-llama"),
        ("metallama", "meta-llama"),
        ("meta-lama", "meta-llama"),
        ("meta-lllama", "meta-llama"),
        ("meta-1lama", "meta-llama"),
        ("rneta-llama", "meta-llama"),
        ("mistraiai", "mistralai"),
        ("mistarlai", "mistralai"),
        ("rnistralai", "mistralai"),
        ("rnicrosoft", "microsoft"),
        ("micr0soft", "microsoft"),
        ("g00gle", "google"),
        ("goggle", "google"),
        ("qwenn", "qwen"),
        ("Qwen-", "qwen"),
        ("nvidla", "nvidia"),
    ],
)
def test_names_that_people_take_for_another_one(name, known):
    found = likeness(name, ["openai", known])
    assert found is not None
    assert found.name == known
    assert found.why


@pytest.mark.parametrize("name", ["meta-llama", "Meta-Llama", "alice", "acme", "googol-plex", "ibm", "meta-llama-fans"])
def test_names_that_are_themselves_or_something_else(name):
    assert likeness(name, ["meta-llama", "google", "ibn", "microsoft"]) is None


@pytest.mark.parametrize(
    ("left", "right", "slip"),
    [
        ("abcd", "abcd", True),
        ("abcd", "abd", True),
        ("abcd", "abcde", True),
        ("abcd", "bacd", True),
        ("abcd", "abdc", True),
        ("abcd", "abxd", True),
        ("abcd", "badc", False),
        ("abcd", "ab", False),
        ("abcd", "dcba", False),
        ("abcd", "axyd", False),
        ("", "a", True),
    ],
)
def test_one_slip_of_the_hand(left, right, slip):
    assert is_one_slip(left, right) is slip
    assert is_one_slip(right, left) is slip


def test_what_looks_alike_has_one_skeleton():
    assert skeleton("Rn1l-O0") == skeleton("mIL.oo")


def make_popular(repository: Repository) -> None:
    """Have a repository downloaded often, and forget which names were well-known before."""
    Repository.objects.filter(pk=repository.pk).update(downloads=500)
    name_rules.forget_known()


# --- observations ----------------------------------------------------------------------------------------------------
def test_a_person_and_an_organisation_like_a_base_owner_are_observed_and_not_refused(cast):
    accounts.register("mistralal", password="a sentence that is long")
    organizations.create_organization("g00gle", by=cast["carol"])
    moves.rename("g00gle", "goog1e", cast.session("carol"))
    rows = NameObservation.objects.order_by("pk").values_list("kind", "name", "like")
    assert list(rows) == [
        ("person", "mistralal", "mistralai"),
        ("organization", "g00gle", "google"),
        ("organization", "goog1e", "google"),
    ]


def test_the_operator_is_not_observed(cast):
    accounts.create_person("g00gle")
    assert not NameObservation.objects.exists()


def test_a_repository_like_a_popular_one_is_observed_and_a_copy_of_its_name_is_not(cast):
    make_popular(cast.repository("acme/reviews-lora"))
    cast.repository("alice/reviews-lora")
    cast.repository("alice/something-else")
    cast.repository("alice/revlews-lora")
    [row] = NameObservation.objects.all()
    assert (row.kind, row.name, row.like, row.by) == ("model", "alice/revlews-lora", "reviews-lora", "alice")


def test_a_rename_and_a_restore_are_observed_as_a_creation_is(cast):
    make_popular(cast.repository("acme/reviews-lora"))
    first, second = cast.repository("alice/first"), cast.repository("alice/second")
    alice = cast.session("alice")
    moves.move(first, "alice/revlews-lora", alice)
    repositories.delete(second, alice)
    retirement.restore(second.pk, alice, "rev1ews-lora")
    assert set(NameObservation.objects.values_list("name", flat=True)) == {"alice/revlews-lora", "alice/rev1ews-lora"}


def test_an_observation_reaches_the_outbox_and_is_handled(cast, monkeypatch, settings):
    settings.OUTBOX_DOORBELL = "tests.registry.test_names.notify"
    events = []
    monkeypatch.setitem(dispatch.CONSUMERS, "here", lambda event: events.append((event.kind, event.data)))
    organizations.create_organization("g00gle", by=cast["carol"])
    dispatch.run()
    assert ("name-observed", {"observation": NameObservation.objects.get().pk}) in events
    assert not OutboxEvent.objects.exists()


def test_private_and_unpopular_repositories_make_nothing_well_known(cast):
    make_popular(cast.repository("acme/reviews-lora", private=True))
    cast.repository("alice/tickets-lora")
    name_rules.forget_known()
    cast.repository("alice/revlews-lora")
    cast.repository("bob/tlckets-lora", by="bob")
    assert not NameObservation.objects.exists()


def test_comparing_a_name_costs_no_query_while_the_names_are_kept(cast, django_assert_num_queries):
    name_rules.like_repository("first")
    name_rules.like_namespace("first")
    with django_assert_num_queries(0):
        name_rules.like_repository("second")
        name_rules.like_namespace("second")


# --- rules -----------------------------------------------------------------------------------------------------------
def test_a_reserved_name_is_the_operators_to_give(cast):
    assert name_rules.add("corp-*", "reserved", "namespace", cast["ada"])
    assert not name_rules.add("CORP-*", "reserved", "namespace", cast["ada"])
    with pytest.raises(NameReserved):
        accounts.register("corp-sales", password="a sentence that is long")
    with pytest.raises(NameReserved):
        organizations.create_organization("Corp-Sales", by=cast["carol"])
    with pytest.raises(NameReserved):
        moves.rename("acme", "corp-acme", cast.session("alice"))
    assert accounts.create_person("corp-sales").username == "corp-sales"
    assert organizations.create_organization("corp-lab", by=None).namespace.name == "corp-lab"
    assert cast.repository("alice/corp-sales")  # another scope


def test_a_prohibited_name_and_what_looks_like_it_is_nobodys(cast):
    name_rules.add("evilcorp", "prohibited", "any", cast["ada"])
    for name in ("evilcorp", "EVIL-corp", "ev1lc0rp"):
        with pytest.raises(NameProhibited):
            organizations.create_organization(name, by=cast["carol"])
        with pytest.raises(NameProhibited):
            organizations.create_organization(name, by=None)
        with pytest.raises(NameProhibited):
            cast.repository(f"alice/{name}")
    plain = cast.repository("alice/plain")
    with pytest.raises(NameProhibited):
        moves.move(plain, "alice/evil.corp", cast.session("alice"))
    assert moves.move(plain, "acme/plain", cast.session("alice")).full_name == "acme/plain"
    assert cast.repository("alice/evilcorporation")
    assert not Namespace.objects.filter(name__icontains="evil").exists()


def test_a_name_that_was_prohibited_later_stays_and_can_move(cast):
    kept = cast.repository("alice/evilcorp")
    name_rules.add("evilcorp", "prohibited", "any", None)
    assert moves.move(kept, "acme/evilcorp", cast.session("alice")).full_name == "acme/evilcorp"


def test_rules_are_logged_when_they_come_and_go(cast):
    name_rules.add("corp-*", "reserved", "namespace", cast["ada"], reason="Ours.")
    name_rules.remove(NameRule.objects.get().pk, cast["ada"])
    assert list(AuditEvent.objects.filter(object="corp-*").order_by("pk").values_list("action", "before", "after")) == [
        ("name:rule", None, {"kind": "reserved", "scope": "namespace"}),
        ("name:free", {"kind": "reserved", "scope": "namespace"}, None),
    ]
    with pytest.raises(ItemNotFound):
        name_rules.remove(0, cast["ada"])
    assert organizations.create_organization("corp-x", by=cast["carol"])


@pytest.mark.parametrize("pattern", ["", "*", "??", "a b", "ä", "a/b"])
def test_what_no_name_can_match_is_no_rule(db, pattern):
    with pytest.raises(ValueInvalid):
        name_rules.add(pattern, "reserved", "namespace", None)


# --- former names ----------------------------------------------------------------------------------------------------
def test_a_former_name_is_kept_for_ever_or_for_days(cast, settings):
    organizations.create_organization("gone", by=cast["carol"])
    organizations.delete_organization("gone", cast.session("carol"))
    FormerNamespace.objects.update(at=timezone.now() - timedelta(days=400))
    with pytest.raises(NameTaken):
        organizations.create_organization("gone", by=cast["bob"])
    settings.RETIRED_NAME_DAYS = 500
    with pytest.raises(NameTaken):
        organizations.create_organization("gone", by=cast["bob"])
    settings.RETIRED_NAME_DAYS = 365
    assert organizations.create_organization("gone", by=cast["bob"])
    assert not FormerNamespace.objects.exists()


def warns(client: Client, path: str, fields: dict[str, str]) -> None:
    """Assert that a form warns of a name, and takes it once it is confirmed."""
    warned = client.post(path, fields)
    assert warned.status_code == 400
    assert "confirm_name" in warned.content.decode()
    assert "This looks like" in warned.content.decode()
    assert client.post(path, fields | {"confirm_name": "on"}).status_code == 302


# --- pages -----------------------------------------------------------------------------------------------------------
def test_a_page_warns_of_a_name_and_takes_it_once_it_is_confirmed(cast, client, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    client.force_login(cast["alice"])
    warns(client, "/organizations/new", {"name": "g00gle", "full_name": "", "visibility": "public"})
    client.logout()
    joining = {"username": "mistra1ai", "email": "m@example.org", "password1": PASSWORD, "password2": PASSWORD}
    assert "This looks like" in client.post("/join", joining).content.decode()
    assert client.post("/join", joining | {"confirm_name": "on"}).status_code == 302
    assert NameObservation.objects.count() == 2
