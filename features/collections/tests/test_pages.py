"""Collections as people meet them, forms alone; and where pages of others name them."""

import re

import pytest

from features import FEATURES
from features.collections import verbs
from tests.sweep import sweep


def text(answer) -> str:
    return answer.content.decode()


def test_a_collection_is_found_by_its_number_and_shows_what_one_may_see(visit, cast, reviews, secret):
    made = verbs.create("acme", "Best <of> 2026", cast.session("alice"))
    for name in ("alice/reviews", "acme/secret"):
        verbs.add(made, "model", name, cast.session("alice"), note=f"about {name}")
    address = f"/collections/{made.slug}"
    page = text(visit().get(address))
    assert "Best &lt;of&gt; 2026" in page
    assert "about alice/reviews" in page
    assert "secret" not in page
    assert "secret" in text(visit("erin").get(address))
    assert visit().get(f"/collections/acme/old-words-{made.key}").url == address
    assert "Best &lt;of&gt; 2026" in text(visit().get("/collections?owner=acme"))
    assert "/collections?owner=acme" in text(visit().get("/acme"))
    verbs.change(made, verbs.Change(private=True))
    assert visit("carol").get(address).status_code == 404
    assert "2026" not in text(visit("carol").get("/collections"))


def test_a_collection_is_made_filled_ordered_and_deleted_by_forms(visit, cast, reviews, secret):
    bob = visit("bob")
    assert '<option value="acme" selected>acme</option>' in text(bob.get("/collections/new?owner=acme"))
    here = bob.post("/collections/new", {"owner": "acme", "title": "For shops", "description": "What sells."}).url
    assert "Nothing in it" in text(visit().get(here))
    cast.repository("acme/gold", type="dataset")
    for name in ("alice/reviews", "acme/secret", "datasets/acme/gold"):
        assert bob.post(f"{here}/add", {"name": name, "note": f"<i>{name}</i>"}).url == here
    page = text(visit().get(here))
    assert "&lt;i&gt;alice/reviews" in page
    assert 'href="/datasets/acme/gold"' in page
    assert "secret" not in page
    assert f'action="{here}/' not in page
    first, _, last = (entry["item"] for entry in bob.get(here).context["entries"])
    bob.post(f"{here}/items/{last.pk}/top")
    bob.post(f"{here}/items/{last.pk}/note", {"note": "Begin here."})
    bob.post(f"{here}/items/{first.pk}/remove")
    shown = [(entry["item"].repository.full_name, entry["item"].note) for entry in bob.get(here).context["entries"]]
    assert shown == [("acme/gold", "Begin here."), ("acme/secret", "<i>acme/secret</i>")]
    moved = bob.post(f"{here}/change", {"title": "For all shops", "description": "", "visibility": "private"}).url
    assert "for-all-shops" in moved
    assert visit("carol").get(moved).status_code == 404
    assert bob.post(f"{moved}/delete").url == "/collections?owner=acme"
    assert bob.get(moved).status_code == 404


@sweep(
    "deed, form, status",
    [
        ("add", {"name": "alice/nothing"}, 404),
        ("add", {"name": "acme/secret"}, 404),
        ("add", {"name": "x"}, 404),
        ("add", {}, 404),
        ("items/999/remove", {}, 404),
        ("items/999/note", {"note": "x"}, 404),
        ("items/999/top", {}, 404),
        ("change", {"title": " "}, 400),
    ],
)
def test_a_form_about_nothing_changes_no_collection(visit, cast, secret, deed, form, status):
    made = verbs.create("carol", "Mine", cast.session("carol"))
    here = f"/collections/{made.slug}"
    answer = visit("carol").post(f"{here}/{deed}", form)
    assert answer.status_code == status
    assert 'role="alert"' in text(answer)
    assert "Mine" in text(visit().get(here))
    for who in ("bob", "mona"):
        assert visit(who).post(f"{here}/delete").status_code == 403
    assert visit().post(f"{here}/delete").url.startswith("/login?")


@pytest.mark.parametrize("fields", [{}, {"visibility": ""}, {"visibility": "Private"}])
def test_a_form_without_an_answer_makes_nothing_public(visit, cast, fields):
    ours = verbs.create("acme", "Ours", cast.session("alice"), private=True)
    answer = visit("alice").post(f"{ours.get_absolute_url()}/change", {"title": "Ours", **fields})
    assert answer.status_code == 400
    ours.refresh_from_db()
    assert ours.private


def test_the_form_needs_its_secret(visit):
    assert visit("alice", enforce_csrf_checks=True).post("/collections/new", {"title": "x"}).status_code == 403


def linked(page: str) -> list[str]:
    """Return where the section of collections leads."""
    return re.findall(r'href="/([^"]*)"', page.partition('id="collections"')[2].partition("</section>")[0])


@pytest.mark.skipif("derived" not in FEATURES, reason="the page is of derived versions")
def test_the_lineage_of_an_adapter_names_the_collections_that_hold_it_on_its_page_and_by_rest(visit, cast, reviews):
    assert "Nothing here is based on it yet" in text(visit().get("/alice/reviews/lineage"))
    by = cast.session("alice")
    public, private = verbs.create("alice", "Good ones", by), verbs.create("alice", "Mine alone", by, private=True)
    for one in (public, private):
        verbs.add(one, "model", "alice/reviews", by)
    page = text(visit().get("/alice/reviews/lineage"))
    assert linked(page) == [f"collections/{public.slug}"]
    assert "Nothing here is based on it yet" not in page
    assert len(linked(text(visit("alice").get("/alice/reviews/lineage")))) == 2
    assert visit().get("/api/v1/adapters/alice/reviews/lineage").json()["collections"] == [public.slug]


def test_the_foot_of_each_page_leads_to_the_list(visit):
    assert '<a href="/collections">Collections</a>' in text(visit().get("/"))
