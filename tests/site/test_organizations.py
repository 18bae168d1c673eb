"""Organisations and settings on the website: founding, members and their roles, leaving, and pages of people."""

import pytest

from registry import organizations, social
from registry.models import Adapter, AuditEvent, Membership, Organization

HERE = "/organizations/acme/settings"


def text(answer) -> str:
    return answer.content.decode()


def role(who: str) -> str:
    return (
        Membership.objects.filter(user__username=who, organization__namespace__name="acme")
        .values_list("role", flat=True)
        .first()
        or ""
    )


def test_carol_founds_an_organisation_lets_bob_in_and_makes_its_first_adapter(visit, cast):
    carol = visit("carol")
    assert "You are in none" in text(carol.get("/settings/organizations"))
    made = carol.post("/organizations/new", {"name": "guild", "full_name": "The <Guild>", "visibility": "private"})
    assert made.url == "/organizations/guild/settings?welcome=1"
    assert "guild is yours" in text(carol.get(made.url))
    carol.post("/organizations/guild/settings", {"do": "member", "username": "BOB", "role": "write"})
    page = text(visit().get("/guild"))
    assert "The &lt;Guild&gt;" in page
    assert 'href="/bob"' in page
    assert "/organizations/guild/settings" not in page
    assert "<option selected>guild</option>" in text(carol.get("/new?owner=guild"))
    visit("bob").post("/new", {"owner": "guild", "name": "first", "visibility": "private"})
    assert Adapter.objects.get(name="first").namespace.name == "guild"
    assert "guild" in text(carol.get("/settings/organizations"))


@pytest.mark.parametrize(("name", "status"), [("acme", 409), ("alice", 409), ("settings", 400), ("-x", 400), ("", 400)])
def test_a_name_that_cannot_be_is_refused_on_the_form(visit, cast, name, status):
    answer = visit("carol").post("/organizations/new", {"name": name})
    assert answer.status_code == status
    assert 'role="alert"' in text(answer)
    assert Organization.objects.count() == 1


def test_nobody_hoards_names(visit, cast, monkeypatch):
    monkeypatch.setattr(organizations, "MAX_ADMINISTERED", 1)
    carol = visit("carol")
    assert carol.post("/organizations/new", {"name": "one"}).status_code == 302
    assert carol.post("/organizations/new", {"name": "two"}).status_code == 403


def test_its_administrator_changes_roles_takes_people_out_and_leaves_a_trace(visit, cast):
    alice = visit("alice")
    page = text(alice.get(HERE))
    for name in ("alice", "bob", "dave", "erin"):
        assert f'aria-label="Role of {name}"' in page
    alice.post(HERE, {"do": "member", "username": "bob", "role": "read"})
    alice.post(HERE, {"do": "drop", "username": "dave"})
    assert (role("bob"), role("dave")) == ("read", "")
    alice.post(HERE, {"do": "change", "full_name": "Acme Works", "visibility": "private"})
    acme = Organization.objects.get()
    assert (acme.full_name, acme.private_by_default) == ("Acme Works", True)
    acts = AuditEvent.objects.filter(actor="alice").values_list("action", flat=True)
    assert {"organization:member", "organization:change"} <= set(acts)


def test_the_last_administrator_stays_and_another_one_may_go(visit, cast):
    alice = visit("alice")
    for form in ({"do": "drop", "username": "alice"}, {"do": "member", "username": "alice", "role": "read"}):
        answer = alice.post(HERE, form)
        assert answer.status_code == 400
        assert "without an administrator" in text(answer)
    assert alice.post("/settings/organizations", {"leave": "acme"}).status_code == 400
    alice.post(HERE, {"do": "member", "username": "bob", "role": "admin"})
    assert alice.post(HERE, {"do": "member", "username": "alice", "role": "read"}).url == "/acme"
    assert alice.post("/settings/organizations", {"leave": "ACME"}).status_code == 302
    assert (role("alice"), role("bob")) == ("", "admin")


@pytest.mark.parametrize("who", ["bob", "carol", "mona"])
@pytest.mark.parametrize(
    "form", [None, {"do": "member", "username": "carol", "role": "admin"}, {"do": "drop", "username": "alice"}]
)
def test_only_its_administrators_see_and_change_it(visit, cast, who, form):
    client = visit(who)
    assert (client.post(HERE, form) if form else client.get(HERE)).status_code == 403
    assert (role("carol"), role("alice")) == ("", "admin")


def test_who_is_not_signed_in_comes_back_and_what_is_not_there_is_not_there(visit, cast):
    assert visit().get(HERE).url == "/login?next=%2Forganizations%2Facme%2Fsettings"
    assert visit("alice").get("/organizations/nothing/settings").status_code == 404
    assert visit("alice").get("/organizations/alice/settings").status_code == 404


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"do": "member", "username": "nobody-here", "role": "read"}, 404),
        ({"do": "member", "username": "carol", "role": "emperor"}, 400),
        ({"do": "everything"}, 400),
        ({}, 400),
    ],
)
def test_a_form_about_nothing_is_refused_on_the_page(visit, cast, form, status):
    answer = visit("alice").post(HERE, form)
    assert answer.status_code == status
    assert 'role="alert"' in text(answer)


def test_every_form_needs_its_secret(visit, cast):
    alice = visit("alice", enforce_csrf_checks=True)
    for path in (HERE, "/organizations/new", "/settings/organizations"):
        assert alice.post(path, {"do": "drop", "username": "bob", "name": "x", "leave": "acme"}).status_code == 403
    assert role("bob") == "write"


# --- settings --------------------------------------------------------------------------------------------------------
def test_the_first_page_of_settings_leads_to_all_of_them(visit, cast):
    alice = visit("alice")
    page = text(alice.get("/settings"))
    for name in ("profile", "password", "tokens", "notifications", "organizations", "webhooks"):
        assert f'href="/settings/{name}"' in page
        assert alice.get(f"/settings/{name}").status_code == 200
    assert "acme" in page
    assert visit().get("/settings").url == "/login?next=%2Fsettings"


# --- people ----------------------------------------------------------------------------------------------------------
def test_followers_likes_and_evaluation_sets_have_lists_of_their_own(visit, cast, reviews, secret):
    social.follow(cast["alice"].namespace, cast.session("carol"))
    social.like(reviews, cast.session("carol"))
    social.like(secret, cast.session("erin"))
    cast.adapter("alice/gold", type="dataset")
    assert "carol" in text(visit().get("/alice?show=followers"))
    assert 'href="/alice"' in text(visit().get("/carol?show=following"))
    assert 'href="/alice/reviews"' in text(visit().get("/carol?show=likes"))
    assert "secret" not in text(visit().get("/erin?show=likes"))
    assert "secret" in text(visit("bob").get("/erin?show=likes"))
    assert 'href="/datasets/alice/gold"' in text(visit().get("/alice?show=datasets"))
    assert "carol" in text(visit().get("/alice/reviews/likers"))
    assert "/alice/reviews/likers" in text(visit().get("/alice/reviews"))
    assert text(visit().get("/alice?show=everything")).count('aria-current="page"') == 1


def test_long_lists_of_people_come_in_pages(visit, cast, monkeypatch):
    monkeypatch.setattr("hub.site.namespace.PAGE", 2)
    for name in ("bob", "carol", "dave"):
        social.follow(cast["alice"].namespace, cast.session(name))
    first = visit().get("/alice?show=followers")
    assert "bob" not in first.context["people"][0]
    second = visit().get(f"/alice{first.context['next']}")
    assert [row[0] for row in second.context["people"]] == ["bob"]
    assert second.context["next"] == ""
