"""New repositories from a form, and the ways to it and to the editor."""

from registry.kernel import site_settings
from registry.people.organizations import organizations, teams
from tests.registry.test_names import make_popular, warns
from tests.site.test_account import text


def test_a_person_makes_adapters_where_he_may(visit, cast):
    client = visit("bob")
    assert 'value="acme">acme</option' in client.get("/new", follow=True).content.decode().replace(" selected", "")
    made = client.post("/new", {"owner": "acme", "name": "router", "visibility": "private"})
    assert made["Location"] == "/acme/router"
    assert visit("carol").get("/acme/router").status_code == 404
    refused = client.post("/new", {"owner": "alice", "name": "router", "visibility": "public"})
    assert refused.status_code == 403
    assert "may not create" in text(refused)
    taken = client.post("/new", {"owner": "acme", "name": "Router", "visibility": "public"})
    assert taken.status_code == 409
    assert "already exists" in text(taken)


def test_a_member_of_a_team_chooses_the_organisation_for_a_new_adapter(visit, cast):
    organizations.set_member(cast.acme, cast["carol"], "member", by=cast["alice"])
    assert 'value="acme"' not in visit("carol").get("/new", follow=True).content.decode()
    team = teams.create_team(cast.acme, "ner", by=cast["alice"])
    teams.set_grant(team, "ner-*", "write", by=cast["alice"])
    teams.add_member(team, cast["carol"], by=cast["alice"])
    assert 'value="acme"' in visit("carol").get("/new", follow=True).content.decode()
    refused = visit("carol").post("/new", {"owner": "acme", "name": "pos", "visibility": "private"})
    assert (refused.status_code, "ner-*" in refused.content.decode()) == (403, True)
    made = visit("carol").post("/new", {"owner": "acme", "name": "ner-de", "visibility": "private"})
    assert (made.status_code, made["Location"]) == (302, "/acme/ner-de")


def test_a_name_like_a_popular_one_is_confirmed(visit, cast):
    make_popular(cast.repository("acme/reviews-lora"))
    warns(visit("alice"), "/new", {"owner": "alice", "name": "revlews-lora", "visibility": "public"})


def test_an_organisation_is_chosen_where_its_page_led_here(visit, cast):
    page = visit("alice").get("/new?owner=acme", follow=True).content.decode()
    assert '<option value="acme" selected>acme</option>' in page


def test_files_of_a_branch_lead_to_the_editor_and_others_do_not(visit, reviews):
    assert (
        'href="/alice/reviews/edit/main/README.md"'
        in visit("alice").get("/alice/reviews/blob/main/README.md").content.decode()
    )
    assert "/edit/" not in visit("alice").get("/alice/reviews/blob/verified/README.md").content.decode()


def test_it_needs_the_second_factor_that_a_hub_requires(visit, cast):
    site_settings.change_setting("second_factor", "required", cast["ada"])
    fields = {"owner": "alice", "name": "reviews", "visibility": "public"}
    assert visit("alice").post("/new", fields).status_code == 403
