"""Teams in a browser: an administrator opens private repositories to a member; the pages fit, and axe finds nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import look

pytestmark = pytest.mark.merge

TEAMS = "/organizations/acme/settings/teams"
PAGES = (TEAMS, f"{TEAMS}/ner", "/organizations/acme/settings")


def test_a_team_is_made_filled_and_shown_in_every_shape(working_hub, visitor):
    page = visitor(working_hub.url, java_script_enabled=False).sign_in("alice")
    page.goto(f"{working_hub.url}/organizations/acme/settings")
    page.get_by_role("main").get_by_role("link", name="Teams", exact=True).click()
    page.get_by_label("Name", exact=True).fill("ner")
    page.get_by_label("Full name").fill("Named entities")
    page.get_by_role("button", name="Create team").click()
    expect(page.get_by_role("heading", name="Named entities")).to_be_visible()
    grants = (("ner-*", "models", "write"), ("de-?", "datasets", "admin"), ("*", "all types", "read"))
    for pattern, kind, role in grants:
        page.get_by_label("Names", exact=True).fill(pattern)
        page.get_by_label("Of these types").select_option(label=kind)
        page.get_by_role("radio", name=role).check()
        page.get_by_role("button", name="Open repositories").click()
        expect(page.get_by_text(f"acme/{pattern}", exact=True)).to_be_visible()
    for name in ("erin", "bob"):
        page.get_by_label("User name").fill(name)
        page.get_by_role("button", name="Add member").click()
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    page.get_by_label("User name").fill("carol")
    page.get_by_role("button", name="Add member").click()
    expect(page.get_by_text("carol is not a member of acme")).to_be_visible()
    page.goto(working_hub.url + TEAMS)
    expect(page.get_by_role("cell", name="ner-*")).to_be_visible()

    one = visitor(working_hub.url)
    one.sign_in("alice")
    assert {address: found for address in PAGES if (found := look(one.go(address)))} == {}

    page.goto(f"{working_hub.url}{TEAMS}/ner")
    page.get_by_role("button", name="Remove bob").click()
    expect(page.get_by_role("link", name="bob", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Delete ner").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
