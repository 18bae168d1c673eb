"""People, organisations and their names."""

import pytest
from django.db import IntegrityError, transaction

from registry.kernel import policy, site_settings
from registry.kernel.errors import (
    NameInvalid,
    NamespaceNotFound,
    NameTaken,
    NotAllowed,
    SessionRequired,
    ValueInvalid,
)
from registry.kernel.policy import Caller
from registry.models import AuditEvent, Membership, Namespace, Organization, User
from registry.people import accounts, profiles
from registry.people.organizations import organizations
from registry.people.tokens import tokens
from tests.cast import PASSWORD
from tests.sweep import sweep


def test_who_joins_has_a_namespace_of_his_name(db):
    user = accounts.register("Zoe", email=" zoe@example.org ", password="a long pass phrase")
    assert (user.role, user.email, user.namespace.name) == ("user", "zoe@example.org", "Zoe")
    assert accounts.get_namespace("zOE").person == user
    assert AuditEvent.objects.get().action == "person:register"


@pytest.mark.parametrize("registration", ["invite", "closed"])
def test_nobody_joins_a_hub_that_is_not_open_but_the_operator_may_add_people(db, registration):
    site_settings.change_setting("registration", registration, None)
    with pytest.raises(NotAllowed):
        accounts.register("zoe", password="a long pass phrase")
    assert accounts.create_person("zoe", password="a long pass phrase").namespace.name == "zoe"
    site_settings.clear_cache()


@pytest.mark.parametrize("name", ["alice", "ALICE", "acme", "Acme"])
def test_a_name_is_taken_whatever_its_case_and_by_whomever(cast, name):
    before = Namespace.objects.count()
    with pytest.raises(NameTaken):
        accounts.register(name, password="a long pass phrase")
    with pytest.raises(NameTaken):
        organizations.create_organization(name, by=cast["carol"])
    assert Namespace.objects.count() == before


@pytest.mark.parametrize("name", ["email", "user_email_unique"])
def test_a_name_that_reads_like_a_column_is_still_only_a_name(cast, name):
    accounts.register(name, password="a long pass phrase")
    with pytest.raises(NameTaken):
        accounts.register(name, password="a long pass phrase")


def test_an_address_belongs_to_the_person_who_proved_it(cast):
    zoe = accounts.register("zoe", email="ALICE@example.org", password="a long pass phrase")
    assert not zoe.email_verified, "an address that was only typed keeps nobody out"
    for verb in (
        lambda: profiles.set_address(cast["bob"], "Alice@example.org", verified=True, by=None),
        lambda: profiles.confirm(zoe, "alice@example.org"),
        lambda: accounts.create_person("zack", email="ALICE@example.org"),
    ):
        with pytest.raises(NameTaken, match="address"):
            verb()
    assert not Namespace.objects.filter(name="zack").exists()
    assert User.objects.get(username="bob").email == "bob@example.org"


@pytest.mark.parametrize(
    "given",
    [
        {"password": "short"},
        {"password": "password1234"},
        {"email": "no address"},
        {"email": f"{'a' * 250}@example.org"},
        {"full_name": "x" * 201},
        {"full_name": "nul\0"},
        {"full_name": "half \ud800"},
    ],
)
def test_what_cannot_be_stored_or_is_too_weak_is_refused_before_anything_is_written(db, given):
    with pytest.raises(ValueInvalid) as refusal:
        accounts.register("zoe", **{"password": "a long pass phrase", **given})
    assert refusal.value.fix
    assert not Namespace.objects.filter(name="zoe").exists()


@sweep("name", ["", "-a", "a-", "a..b", "a--b", "a/b", "é", "a b", "admin", "API", "x" * 97, "a.git"])
def test_names_that_the_hub_or_its_clients_cannot_have_are_refused(db, name):
    with pytest.raises(NameInvalid):
        accounts.register(name, password="a long pass phrase")


def test_only_administrators_in_a_session_give_roles(cast):
    for by in (cast.session("mona"), cast.session("alice")):
        with pytest.raises(NotAllowed):
            accounts.set_role(cast["bob"], "admin", by=by)
    with pytest.raises(SessionRequired):
        accounts.set_role(cast["bob"], "admin", by=tokens.caller_of(cast.token("ada")))
    assert accounts.set_role(cast["bob"], "moderator", by=cast.session("ada"))
    assert not accounts.set_role(cast["bob"], "moderator", by=cast.session("ada"))
    [event] = AuditEvent.objects.filter(action="person:role")
    assert (event.actor, event.object, event.before, event.after) == ("ada", "bob", "user", "moderator")


def test_the_last_administrator_stays_one(cast):
    with pytest.raises(ValueInvalid, match="only administrator"):
        accounts.set_role(cast["ada"], "user", by=cast.session("ada"))
    accounts.set_role(cast["bob"], "admin", by=None)
    assert accounts.set_role(cast["ada"], "user", by=cast.session("bob"))


def test_a_new_password_is_noticed_and_the_same_one_is_not(cast):
    assert not accounts.set_password(cast["alice"], PASSWORD, by=None)
    assert accounts.set_password(cast["alice"], "another pass phrase", by=None)
    assert User.objects.get(username="alice").check_password("another pass phrase")


def test_a_member_has_one_role_and_setting_it_again_changes_nothing(cast):
    assert not organizations.set_member(cast.acme, cast["bob"], "write", by=None)
    assert organizations.set_member(cast.acme, cast["bob"], "read", by=None)
    assert cast.session("bob").roles[cast.acme.namespace_id] == "read"
    with pytest.raises(ValueInvalid):
        organizations.set_member(cast.acme, cast["bob"], "emperor", by=None)


def test_asking_for_a_namespace_that_is_not_there_says_so(db):
    with pytest.raises(NamespaceNotFound, match="'nobody'"):
        accounts.get_namespace("nobody")


def test_what_somebody_may_do_follows_from_his_role_alone(cast):
    assert [name for name, user in cast.people.items() if user.has_perm("registry.view_user")] == ["ada"]
    assert not hasattr(User(), "is_superuser")
    assert not policy.Caller(user=cast["mona"], token=cast["mona"].tokens.first()).is_anonymous


@pytest.mark.parametrize(
    "write",
    [
        lambda cast: Namespace.objects.create(name="ALICE", kind="person"),
        lambda cast: Namespace.objects.create(name="zoe", kind="robot"),
        lambda cast: User.objects.filter(username="bob").update(email="Alice@Example.org"),
        lambda cast: User.objects.filter(username="bob").update(role="emperor"),
        lambda cast: Membership.objects.create(organization=cast.acme, user=cast["bob"], role="read"),
        lambda cast: Membership.objects.filter(user=cast["bob"]).update(role="emperor"),
        lambda cast: Organization.objects.create(namespace=cast.acme.namespace),
    ],
)
def test_the_database_refuses_what_is_wrong(cast, write):
    with pytest.raises(IntegrityError), transaction.atomic():
        write(cast)


def test_the_roles_of_a_caller_are_one_query(cast, django_assert_num_queries):
    by = Caller(user=cast["bob"])
    with django_assert_num_queries(1):
        assert by.roles == {cast.acme.namespace_id: "write", cast["bob"].namespace_id: "admin"}
        assert by.roles[cast.acme.namespace_id] == "write"
