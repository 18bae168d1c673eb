"""Pages of moderators and of the record in real Chromium: readable, without script, and kept from others."""

import pytest
from playwright.sync_api import expect

from hub.site import headers
from tests.browser.looks import look
from tests.live import Hub

pytestmark = pytest.mark.merge

STAFF = ["/moderation/log", "/moderation/blocklist", "/moderation/names", "/moderation/site"]
OWNERS = ["/alice/recorded/settings/activity", "/organizations/acme/settings/activity"]
HELD = "/alice/held/verdict/main"  # with regression, strength, trials of engines, the training and the weights
SHOWN = ("Compared with the previous version", "smallest scale", "measured", "not measured here",
         "times the median norm", "alice/held-copy")  # fmt: skip
PUBLIC = ["/transparency", HELD, "/alice/held/merge-preview/main?other=alice/held-copy"]
FURNISH = f"""


from registry.kernel.policy import Caller
from registry.models import BlockedFile, Repository, User
from registry.kernel import seams
from registry.moderation import quarantine
from registry.people import name_rules; from registry.people.organizations import organizations
from registry.publish import repositories
alice, mona, ada = (Caller(user=User.objects.get(username=name)) for name in ("alice", "mona", "ada"))
row = Repository.objects.filter(name="recorded").first() or repositories.create("alice/recorded", alice)
quarantine.quarantine(row, mona, reason="It carries a pickle that can run code when it is loaded.", note="Seen by X.")
quarantine.release(row, mona, reason="The file is gone.")
why = "It steals credentials of cloud accounts."
BlockedFile.objects.get_or_create(sha256="{"ab" * 32}", reason=why, note="From a list.", by="mona")
name_rules.add("corp-*", "reserved", "namespace", ada.user, reason="Names of our departments")
if not User.objects.filter(username="g00gle").exists():
    from registry.people import accounts
    accounts.register("g00gle", password="a sentence that is long enough")
for feature in seams.joined():
    for work in feature.every_hour:
        work()
from tests import held_version
held_version.make("alice/held")
"""


@pytest.fixture(scope="module")
def recorded_hub(live_hub: Hub) -> Hub:
    """The hub with events, a blocked file, a rule for names and an observation."""
    live_hub.manage("shell", "-c", FURNISH)
    return live_hub


def test_every_page_of_the_record_is_readable_and_fits(recorded_hub, visitor):
    wrong = {}
    for name, addresses in (("ada", [*STAFF, *PUBLIC]), ("alice", OWNERS)):
        one = visitor(recorded_hub.url)
        one.sign_in(name)
        for address in addresses:
            page = one.go(address)
            for details in page.locator("main details").all()[:2]:
                details.evaluate("element => { element.open = true }")
            if address == HELD and (absent := [words for words in SHOWN if not page.get_by_text(words).count()]):
                wrong["not on the page"] = absent
            if found := look(page):
                wrong[address] = found
    assert wrong == {}


def test_a_moderator_filters_the_log_and_blocks_a_file_without_script(recorded_hub, visitor):
    one = visitor(recorded_hub.url, java_script_enabled=False)
    one.sign_in("mona")
    page = one.go("/moderation/log")
    page.get_by_text("Filter").first.click()
    page.get_by_label("Action").fill("adapter:quarantine")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("alice/recorded").first).to_be_visible()
    assert page.get_by_text("person:register").count() == 0
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("link", name="Blocked files").click()
    page.get_by_label("SHA-256", exact=True).fill("cd" * 32)
    page.get_by_label("Reason").fill("A copy of it.")
    page.get_by_role("button", name="Block", exact=True).click()
    row = page.get_by_role("row").filter(has_text="A copy of it.")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Unblock").click()
    expect(page.get_by_text("A copy of it.")).to_have_count(0)


def test_the_raw_tables_work_under_the_policy_of_all_pages(recorded_hub, visitor):
    one = visitor(recorded_hub.url)  # whose complaints are also what the policy refuses
    one.sign_in("ada")
    page = one.go("/admin/")
    policies = {page.reload().headers["content-security-policy"]}
    for act in ("moderator", "user"):
        page.get_by_role("link", name="People").first.click()
        policies.add(page.reload().headers["content-security-policy"])
        if act == "moderator":  # by the button of a row; by the list the second time
            page.get_by_role("link", name="bob", exact=True).click()
            policies.add(page.reload().headers["content-security-policy"])
            page.get_by_role("link", name="Change role").click()
        else:
            page.get_by_role("checkbox", name="Select this object for an action - bob").check()
            page.get_by_label("Action:").select_option("role")
            page.get_by_role("button", name="Go", exact=True).click()
        policies.add(page.reload().headers["content-security-policy"])
        page.get_by_label("Role").select_option(act)
        page.get_by_role("button", name="Change role").click()
        expect(page.get_by_text("Change role: bob.")).to_be_visible()
    tables = [link.get_attribute("href") for link in one.go("/admin/").locator("th a").all()]
    assert len(tables) > 9
    for table in tables:  # each list, and the row of its first line
        one.go(table)
        if (row := page.locator("#result_list tbody th a")).count():
            one.go(row.first.get_attribute("href"))  # a click would not wait for the page
            policies.add(page.reload().headers["content-security-policy"])
    assert policies == {headers.PAGES}
    assert "unsafe" not in headers.PAGES


def test_an_administrator_previews_shows_and_removes_a_banner_without_script(recorded_hub, visitor):
    one = visitor(recorded_hub.url, java_script_enabled=False)
    one.sign_in("ada")
    page = one.go("/moderation/site")
    page.get_by_label("Text").fill("The store is moved tonight.")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("group", name="Preview of the banner")).to_contain_text("The store is moved tonight.")
    page.get_by_role("button", name="Show on every page").click()
    try:
        expect(page.get_by_role("status").filter(has_text="The store is moved tonight.")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
    finally:
        recorded_hub.manage(
            "shell", "-c", "from registry.kernel import site_settings; site_settings.change_banner(None, None)"
        )
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)


def test_a_name_like_a_well_known_one_is_confirmed_without_script(recorded_hub, visitor):
    one = visitor(recorded_hub.url, java_script_enabled=False)
    one.sign_in("carol")
    page = one.go("/organizations/new")
    page.get_by_label("Name", exact=True).fill("mistra1ai")
    page.get_by_role("button", name="Create organisation").click()
    expect(page.get_by_text("This looks like")).to_be_visible()
    page.get_by_label("Use this name anyway").check()
    page.get_by_role("button", name="Create organisation").click()
    expect(page.get_by_text("mistra1ai is ready.")).to_be_visible()
