"""The page of a version that scores worse than the verified one: the numbers, the note on every tab, the override."""

import pytest

from registry.models import Ref, Repository
from registry.repos.refs import VERIFIED
from tests.api.conftest import regressed

REASON = "The new rows are harder than the old ones."


@pytest.fixture
def worse(cast):
    return regressed(cast, cast.repository("acme/reviews"))


def test_everybody_sees_why_a_version_is_not_verified_and_owners_what_to_do(visit, worse):
    page = visit().get("/acme/reviews/verdict/main").content.decode()
    assert "It scores worse than the verified version by more than chance: accuracy 0.62 after 0.96" in page
    assert "An owner of the adapter can let this one become" in page
    assert "Let it become verified" not in page
    front = visit().get("/acme/reviews").content.decode()
    assert f'/acme/reviews/verdict/{worse.oid}">passed, not verified</a>' in " ".join(front.split())
    for tab in ("/tree/main", "/commits/main"):
        note = visit().get(f"/acme/reviews{tab}").content.decode()
        assert "This version passed but is not" in note
        assert "/acme/reviews/verdict/" in note
    assert "is not <code>verified" not in visit().get("/acme/reviews/tree/verified").content.decode()
    assert "Let it become verified" not in visit("bob").get("/acme/reviews/verdict/main").content.decode()
    assert "Let it become verified" in visit("alice").get("/acme/reviews/verdict/main").content.decode()


def test_an_owner_lets_it_become_verified_and_takes_that_back(visit, worse):
    def verified() -> str:
        return Ref.objects.get(repository=Repository.objects.get(name="reviews"), name=VERIFIED).revision.oid

    alice, address = visit("alice"), f"/acme/reviews/verdict/{worse.oid}"
    refused = alice.post(f"{address}/override", {"reason": "ok"})
    assert refused.status_code == 400
    assert "at least 10 characters" in refused.content.decode()
    assert visit("bob").post(f"{address}/override", {"reason": REASON}).status_code == 403
    assert verified() != worse.oid
    assert alice.post(f"{address}/override", {"reason": REASON}).status_code == 302
    assert verified() == worse.oid
    page = visit().get(address).content.decode()
    assert REASON in page
    assert "<b>alice</b>" in page
    assert "Undo the override" not in page
    assert alice.post(f"{address}/withdraw-override").status_code == 302
    assert verified() != worse.oid
