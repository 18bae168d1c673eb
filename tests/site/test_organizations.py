"""Organisations and settings on the website: founding, members and their roles, leaving, and pages of people."""

import re

import pytest

from registry.models import AuditEvent, Membership, Organization, Repository
from registry.people.organizations import organizations
from registry.publish import repositories
from tests.sweep import sweep

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


def test_carol_founds_an_organisation_invites_bob_who_accepts_and_makes_its_first_adapter(visit, cast):
    carol = visit("carol")
    assert "No organisations yet" in text(carol.get("/settings/organizations"))
    made = carol.post("/organizations/new", {"name": "guild", "full_name": "The <Guild>", "visibility": "private"})
    assert made.url == "/organizations/guild/settings?welcome=1"
    assert "guild is ready" in text(carol.get(made.url))
    carol.post("/organizations/guild/settings/invite", {"username": "BOB", "role": "write"})
    assert 'href="/bob"' not in text(visit().get("/guild")), "invited, and no member"
    assert "Withdraw the invitation of bob" in text(carol.get("/organizations/guild/settings"))
    bob = visit("bob")
    assert "invites you as <b>write</b>" in text(bob.get("/settings/organizations"))
    assert bob.post("/settings/organizations/guild/accept").url == "/guild"
    page = text(visit().get("/guild"))
    assert "The &lt;Guild&gt;" in page
    assert 'href="/bob"' in page
    assert "/organizations/guild/settings" not in page
    repositories.create("guild/first", cast.session("bob"), private=True)
    assert Repository.objects.get(name="first").namespace.name == "guild"
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
    alice.post(f"{HERE}/role", {"username": "bob", "role": "read"})
    alice.post(f"{HERE}/remove", {"username": "dave"})
    assert (role("bob"), role("dave")) == ("read", "")
    alice.post(f"{HERE}/details/change", {"full_name": "Acme Works", "visibility": "private"})
    acme = Organization.objects.get()
    assert (acme.full_name, acme.private_by_default) == ("Acme Works", True)
    acts = AuditEvent.objects.filter(actor="alice").values_list("action", flat=True)
    assert {"organization:member", "organization:change"} <= set(acts)


def test_the_last_administrator_stays_and_another_one_may_go(visit, cast):
    alice = visit("alice")
    for deed, form in (("remove", {"username": "alice"}), ("role", {"username": "alice", "role": "read"})):
        answer = alice.post(f"{HERE}/{deed}", form)
        assert answer.status_code == 409
        assert "without an administrator" in text(answer)
    assert alice.post("/settings/organizations/acme/leave").status_code == 409
    alice.post(f"{HERE}/role", {"username": "bob", "role": "admin"})
    assert alice.post(f"{HERE}/role", {"username": "alice", "role": "read"}).url == "/acme"
    assert alice.post("/settings/organizations/ACME/leave").status_code == 302
    assert (role("alice"), role("bob")) == ("", "admin")


@pytest.mark.parametrize("who", ["bob", "carol", "mona"])
@sweep(
    "deed, form",
    [
        ("", None),
        ("/details/change", {"full_name": "Mine"}),
        ("/role", {"username": "carol", "role": "admin"}),
        ("/invite", {"username": "carol", "role": "admin"}),
        ("/remove", {"username": "alice"}),
        ("/withdraw", {"username": "alice"}),
        ("/details/rename", {"name": "mine"}),
        ("/details/delete", {"confirm": "acme"}),
    ],
)
def test_only_its_administrators_see_and_change_it(visit, cast, who, deed, form):
    client = visit(who)
    assert (client.post(HERE + deed, form) if form else client.get(HERE)).status_code == 403
    assert (role("carol"), role("alice")) == ("", "admin")


@pytest.mark.parametrize("who", ["alice", "ada"])
def test_inviting_a_member_changes_nothing_and_says_where_roles_are_changed(visit, cast, who):
    before = role("bob")
    answer = visit(who).post(f"{HERE}/invite", {"username": "Bob", "role": "read"})
    assert answer.status_code == 400
    assert "Bob is already a member. Change the role in the list of members." in text(answer)
    assert role("bob") == before != "read"


def test_who_is_invited_declines_and_administrators_withdraw(visit, cast):
    alice, carol = visit("alice"), visit("carol")
    alice.post(f"{HERE}/invite", {"username": "carol", "role": "read"})
    assert visit("bob").post("/settings/organizations/acme/accept").status_code == 404
    assert carol.post("/settings/organizations/acme/decline").status_code == 302
    assert carol.post("/settings/organizations/acme/accept").status_code == 404
    refused = alice.post(f"{HERE}/invite", {"username": "carol", "role": "read"})
    assert refused.status_code == 409
    assert "carol declined to join acme" in text(refused)
    alice.post(f"{HERE}/invite", {"username": "mona", "role": "read"})
    assert "Withdraw the invitation of mona" in text(alice.get(HERE))
    alice.post(f"{HERE}/withdraw", {"username": "mona"})
    assert "Withdraw the invitation of mona" not in text(alice.get(HERE))
    assert visit("mona").post("/settings/organizations/acme/accept").status_code == 404
    assert (role("carol"), role("mona")) == ("", "")


def test_an_administrator_of_the_hub_adds_at_once_and_nobody_learns_who_is_invited(visit, cast):
    ada = visit("ada")
    assert "becomes a member at once" in text(ada.get(HERE))
    ada.post(f"{HERE}/invite", {"username": "carol", "role": "read"})
    assert role("carol") == "read"
    visit("alice").post(f"{HERE}/invite", {"username": "mona", "role": "read"})
    for who in ("anonymous", "bob", "carol"):
        assert "mona" not in text(visit(who).get("/acme"))
        assert "acme" not in text(visit(who).get("/mona"))


def test_an_organisation_gets_another_name_and_old_addresses_lead_on(visit, cast, secret):
    alice = visit("alice")
    taken = alice.post(f"{HERE}/details/rename", {"name": "bob"})
    assert (taken.status_code, "already taken" in text(taken)) == (409, True)
    assert alice.post(f"{HERE}/details/rename", {"name": "Works"}).url == "/organizations/Works/settings/details"
    for old, new in (("/acme", "/Works"), ("/acme/secret", "/Works/secret"), (HERE, "/organizations/Works/settings")):
        moved = alice.get(old)
        assert (moved.status_code, moved["Location"]) == (307, new)
        assert alice.get(new).status_code == 200
    assert visit().get("/acme/secret").status_code == 404, "who may not see it is not told where it went"
    assert visit("carol").post("/organizations/new", {"name": "ACME"}).status_code == 409


def test_an_organisation_goes_when_it_is_empty_and_its_name_is_typed(visit, cast, secret):
    alice = visit("alice")
    full = alice.post(f"{HERE}/details/delete", {"confirm": "acme"})
    assert full.status_code == 409
    assert "acme holds acme/secret (model)" in text(full)
    alice.post("/acme/secret/settings/delete", {"confirm": "acme/secret"})
    assert alice.post(f"{HERE}/details/delete", {"confirm": "acm"}).status_code == 400
    assert Organization.objects.exists()
    assert alice.post(f"{HERE}/details/delete", {"confirm": "acme"}).url == "/settings/organizations"
    assert alice.get("/acme").status_code == 404
    assert alice.get(HERE).status_code == 404
    for who in ("alice", "carol"):
        assert visit(who).post("/organizations/new", {"name": "acme"}).status_code == 409


def test_who_is_not_signed_in_comes_back_and_what_is_not_there_is_not_there(visit, cast):
    assert visit().get(HERE).url == "/login?next=%2Forganizations%2Facme%2Fsettings"
    assert visit("alice").get("/organizations/nothing/settings").status_code == 404
    assert visit("alice").get("/organizations/alice/settings").status_code == 404


@pytest.mark.parametrize(
    ("deed", "form", "status"),
    [
        ("role", {"username": "nobody-here", "role": "read"}, 404),
        ("role", {"username": "carol", "role": "emperor"}, 400),
        ("invite", {"username": "", "role": "read"}, 404),
        ("details/rename", {}, 400),
        ("details/delete", {}, 400),
    ],
)
def test_a_form_about_nothing_is_refused_on_the_page(visit, cast, deed, form, status):
    answer = visit("alice").post(f"{HERE}/{deed}", form)
    assert answer.status_code == status
    assert 'role="alert"' in text(answer)


def test_every_form_needs_its_secret(visit, cast):
    alice = visit("alice", enforce_csrf_checks=True)
    for path in (f"{HERE}/remove", "/organizations/new", "/settings/organizations/acme/leave"):
        assert alice.post(path, {"username": "bob", "name": "x"}).status_code == 403
    visit("alice").post(f"{HERE}/invite", {"username": "carol", "role": "read"})
    carol = visit("carol", enforce_csrf_checks=True)
    assert carol.post("/settings/organizations/acme/accept").status_code == 403
    assert role("carol") == ""
    assert role("bob") == "write"


# --- settings --------------------------------------------------------------------------------------------------------
FRAMES = {"/settings/profile": "alice", "/alice/reviews/settings": "alice", HERE: "alice"}


@pytest.mark.parametrize("first", FRAMES)
def test_each_page_of_a_frame_leads_to_the_others_by_at_most_eight_entries(visit, cast, reviews, first):
    alice = visit(FRAMES[first])
    entries = entries_of(text(alice.get(first)))
    assert 2 <= len(entries) <= 8
    for address in entries:
        page = text(alice.get(address))
        assert entries_of(page) == entries, address
        assert re.search(rf'href="{address}" aria-current="(page|true)"', page), address
        pages = re.findall(r'<nav class="switch".*?</nav>', page, re.S)
        for other in re.findall(r'href="([^"]*)"', pages[0]) if pages else ():
            shown = text(alice.get(other))
            assert f'href="{other}" aria-current="page"' in shown, other
            assert f'href="{address}" aria-current="true"' in shown, other


def entries_of(page: str) -> list[str]:
    """Return the addresses of the menu at the side."""
    nav = re.search(r'<nav class="frame-nav".*?</nav>', page, re.S)
    return [address for address in re.findall(r'href="([^"]*)"', nav[0]) if address != "/acme"]


def test_old_addresses_of_settings_lead_on(visit, cast):
    alice = visit("alice")
    for old, new in {"/settings": "profile", "/settings/repositories": "usage#deleted"}.items():
        assert alice.get(old).url == f"/settings/{new}"
    assert visit().get("/settings", follow=True).redirect_chain[-1][0] == "/login?next=%2Fsettings%2Fprofile"


# --- people ----------------------------------------------------------------------------------------------------------
def test_the_data_sets_of_a_person_have_a_list_of_their_own(visit, cast, reviews):
    cast.repository("alice/gold", type="dataset")
    assert 'href="/datasets/alice/gold"' in text(visit().get("/alice?show=datasets"))
    assert text(visit().get("/alice?show=everything")).count('aria-current="page"') == 1
