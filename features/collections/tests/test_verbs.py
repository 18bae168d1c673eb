"""Collections in the domain: refusals, what ends with their owner, the log, and what is held back."""

import pytest
from django.test import Client

from features.collections import verbs
from features.collections.models import Collection
from features.collections.verbs import ItemExists
from registry.kernel.errors import NotAllowed, SecondFactorRequired
from registry.kernel.policy import Caller
from registry.people.organizations import organizations
from registry.proof.verified import withdrawals
from registry.publish import moves, retirement
from tests.api.conftest import pushed
from tests.cast import Cast
from tests.registry.test_required_second_factor import give_factor
from tests.sweep import at_merge
from tests.together import at_once


def test_the_same_entry_twice_is_item_exists(cast: Cast) -> None:
    cast.repository("alice/reviews")
    collection = verbs.create("alice", "Favourites", cast.session("alice"))
    verbs.add(collection, "model", "alice/reviews", cast.session("alice"))
    with pytest.raises(ItemExists, match="already") as refusal:
        verbs.add(collection, "model", "alice/reviews", cast.session("alice"))
    assert refusal.value.code == "item-exists"


def test_its_collections_are_found_at_their_old_addresses(cast):
    made = verbs.create("acme", "Routers", cast.session("alice"))
    old = made.slug
    moves.rename("acme", "works", cast.session("alice"))
    answer = Client().get(f"/collections/{old}")
    assert answer["Location"] == f"/collections/{old.replace('acme', 'works')}"
    assert Client().get(answer["Location"]).status_code == 200
    assert Client().get(f"/collections/{old.replace('acme', 'bob')}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_no_collection_is_left_in_one_either(cast):
    alice, bob = cast.session("alice"), Caller(user=cast["bob"])
    results = at_once(
        lambda: verbs.create("acme", "Ours", bob), lambda: organizations.delete_organization("acme", alice)
    )
    assert not Collection.objects.exists()
    assert results[1] is None
    assert isinstance(results[0], Collection | NotAllowed), results


@pytest.mark.django_db(transaction=True)
def test_a_collection_for_an_organisation_that_went_meanwhile_is_refused(cast, monkeypatch):
    alice, bob = cast.session("alice"), cast.session("bob")
    title = verbs._title
    monkeypatch.setattr(
        verbs, "_title", lambda text: (organizations.delete_organization("acme", alice), title(text))[1]
    )
    with pytest.raises(NotAllowed, match="You may not create collections in 'acme'"):
        verbs.create("acme", "Ours", bob)


def test_a_deleted_organisation_takes_its_collections_along(cast):
    verbs.create("acme", "x", cast.session("alice"))
    organizations.delete_organization("ACME", cast.session("alice"))
    assert not Collection.objects.exists()


def test_a_deleted_account_takes_its_collections_along_and_no_others(cast):
    for owner, who in (("carol", "carol"), ("acme", "alice")):
        verbs.create(owner, "x", cast.session(who))
    retirement.delete_account(cast["carol"], with_repositories=False)
    assert Collection.objects.get().namespace == cast.acme.namespace


def test_who_lacks_a_required_second_factor_makes_none_there(cast):
    give_factor(cast["alice"])
    organizations.require_second_factor(cast.acme, True, cast.session("alice"))
    with pytest.raises(SecondFactorRequired):
        verbs.create("acme", "Good", cast.session("bob"))


@pytest.mark.parametrize("who", ["anonymous", "erin", *at_merge("dave")])
def test_what_is_held_back_is_in_no_collection_for_strangers_and_readers(cast, visit, who):
    repository = cast.repository("acme/held")
    head = pushed(cast, repository)
    made = verbs.create("carol", "Mine", cast.session("carol"))
    verbs.add(made, "model", "acme/held", cast.session("carol"))
    lists = ("/api/collections", f"/api/collections/{made.slug}", f"/collections/{made.slug}")
    assert all("acme/held" in visit(who).get(path).content.decode() for path in lists)
    withdrawals.hold(head, "A pickle with more than tensors.")
    assert [path for path in (*lists, "/collections") if "acme/held" in visit(who).get(path).content.decode()] == []
    assert visit(who).get(f"/api/collections/{made.slug}").json()["items"] == []
