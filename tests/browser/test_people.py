"""People at work in a browser: a pull request from draft to merge, a conflict, an organisation, requests, tokens."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import own_reviews
from tests.browser.looks import faults, look
from tests.clients import Client
from tests.live import TOKENS

pytestmark = pytest.mark.merge

HERE = "/acme/talked"
PAGES = [
    *(f"{HERE}/discussions{page}" for page in ("?status=all", "/new", "/1", "/1/files", "/2")),
    f"{HERE}/likers",
    f"{HERE}/access",
    *(f"/settings{page}" for page in ("", "/organizations", "/webhooks", "/tokens", "/notifications")),
    *("/organizations/new", "/organizations/acme/settings", "/acme?show=followers"),
    *("/alice", "/collections/new", "/login/device"),
]


@pytest.fixture(scope="module")
def talked(working_hub, tmp_path_factory):
    """acme/talked with an adapter, a pull request #1 and a discussion #2; the stock client of each person by name."""
    home = tmp_path_factory.mktemp("people")
    clients = {name: Client("2.4.0", working_hub.url, token, home) for name, token in TOKENS.items()}
    clients["alice"].hf("upload", "acme/talked", own_reviews(home / "reviews-lora", __name__))
    first = write(home / "first.md", "# First\n\n" + "a line that is too long for a narrow screen " * 9)
    clients["erin"].hf("upload", "acme/talked", first, "first.md", "--create-pr", "--commit-message", "Propose it")
    clients["carol"].hf("discussions", "create", "acme/talked", "--title", "Hello", "--body", "`long` " * 40)
    return clients


def write(path, text):
    path.write_text(text)
    return path


def _unread_bell(page: Page) -> Locator:
    return page.get_by_role("link", name=re.compile("Notifications, .* not read"))


def _newest_alert(text: str) -> Callable[[Page], Locator]:
    return lambda page: page.locator(".alerts li:first-child", has_text=text)


def test_a_pull_request_goes_from_draft_to_merge_and_each_side_hears_of_it(working_hub, talked, visitor, tmp_path):
    carol, bob = visitor(working_hub.url), visitor(working_hub.url)
    carol.sign_in("carol")
    page = carol.go(f"{HERE}/discussions")
    page.get_by_role("link", name="New discussion").click()
    page.get_by_label("Title").fill("Say how it was trained")
    page.get_by_label("What it is about").fill("With **two** lines. @bob, would you look?")
    page.get_by_role("radio", name="A pull request").check()
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(re.compile(r"/discussions/\d+$"))
    address = page.url.removeprefix(working_hub.url)
    number = address.rsplit("/", 1)[1]
    expect(page.get_by_role("heading", name="Nothing proposed yet")).to_be_visible()
    expect(page.locator("#push-pr")).to_have_text(f"hf upload acme/talked ./adapter --revision refs/pr/{number}")

    notes = write(tmp_path / "notes.md", "# Notes\n\nThree epochs.\n")
    talked["carol"].hf("upload", "acme/talked", notes, "notes.md", "--revision", f"refs/pr/{number}")
    page.reload()
    page.get_by_role("link", name="Changed files").click()
    expect(page.locator(".patch")).to_have_count(1)
    expect(page.locator(".diff .added pre")).to_have_text(["# Notes", "", "Three epochs."])
    page.get_by_role("link", name="Conversation").click()
    page.get_by_role("button", name="Ready to merge").click()
    expect(page.get_by_role("heading", name="It can be merged")).to_be_visible()
    expect(page.get_by_role("button", name="Merge into main")).to_have_count(0)

    bob.sign_in("bob")
    page = bob.go_until("/", _unread_bell)
    _unread_bell(page).click()
    expect(page.locator(".alerts li").first).to_contain_text("carol mentioned you.")
    page.locator(".alerts li").first.get_by_role("link").click()
    page.get_by_label("Your answer").fill("Thank you, @carol.")
    page.get_by_role("button", name="Answer").click()
    page.wait_for_url(re.compile(r"#\d+$"))
    expect(page.locator("article", has_text="Thank you").get_by_role("link", name="@carol")).to_be_visible()
    page.get_by_role("button", name="Merge into main").click()
    page.wait_for_url(f"**{HERE}/verdict/main")
    page = bob.go(address)
    expect(page.get_by_role("heading", name="Merged")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_have_count(0)
    bob.go(f"{HERE}/blob/main/notes.md")
    expect(page.get_by_text("Three epochs.")).to_be_visible()
    # A look at the list between the two events would part them.
    working_hub.manage("shell", "-c", "from registry.talk import dispatch; dispatch.run()")
    page = carol.go_until("/settings/notifications", _newest_alert("bob mentioned you. 2 new since your last visit."))


def test_a_comment_is_edited_and_hidden_and_a_thread_closed_and_opened_again(working_hub, talked, visitor):
    carol, alice, erin = visitor(working_hub.url), visitor(working_hub.url), visitor(working_hub.url)
    carol.sign_in("carol")
    page = carol.go(f"{HERE}/discussions/new")
    page.get_by_label("Title").fill("Which rank?")
    page.get_by_label("What it is about").fill("I wnoder.")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(re.compile(r"/discussions/\d+$"))
    address = page.url.removeprefix(working_hub.url)
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("Text of your comment").fill("I wonder.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".comment .card-body")).to_have_text("I wonder.")
    expect(page.get_by_text("edited")).to_be_visible()

    erin.sign_in("erin")
    page = erin.go(address)
    expect(page.get_by_text("I wonder.")).to_be_visible()
    for nothing in ("Edit", "Hide", "Rename"):
        expect(page.locator("summary", has_text=nothing)).to_have_count(0)
    expect(page.get_by_role("button", name="Close")).to_have_count(0)

    alice.sign_in("alice")
    page = alice.go(address)
    page.locator("summary", has_text="Hide").click()
    page.get_by_role("button", name="Hide for good").click()
    expect(page.get_by_text("This comment has been hidden.")).to_be_visible()
    page.get_by_label("Your answer").fill("Eight.")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".thread-head .state")).to_have_text("closed")
    expect(page.locator(".happened").last).to_contain_text("alice closed it")

    page = carol.go(f"{HERE}/discussions?status=closed")
    page.get_by_role("main").get_by_role("link", name="Which rank?").click()
    page.get_by_role("button", name="Open again").click()
    expect(page.locator(".thread-head .state")).to_have_text("open")
    page.locator("summary", has_text="Rename").click()
    page.get_by_label("Title").fill("Which rank is enough?")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="Which rank is enough?")).to_be_visible()


def test_the_list_is_narrowed_by_chips_and_a_conflict_is_named(working_hub, talked, visitor, tmp_path):
    for who, text in (("carol", "# Hers\n"), ("alice", "# Ours\n")):
        more = ["--create-pr", "--commit-message", "Write a FAQ"] if who == "carol" else []
        talked[who].hf("upload", "acme/talked", write(tmp_path / f"{who}.md", text), "faq.md", *more)
    bob = visitor(working_hub.url)
    bob.sign_in("bob")
    page = bob.go(f"{HERE}/discussions")
    page.get_by_role("navigation", name="Kind").get_by_role("link", name="pull requests").click()
    page.get_by_role("main").get_by_role("link", name="carol").first.click()
    page.wait_for_url("**author=carol")
    expect(page.get_by_role("link", name="Remove: by carol")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Write a FAQ").click()
    expect(page.get_by_role("heading", name="It cannot be merged")).to_be_visible()
    expect(page.locator(".merge")).to_contain_text("main has changed the same file since: faq.md.")
    expect(page.get_by_role("button", name="Merge into main")).to_have_count(0)


def test_an_organisation_is_founded_joined_and_left(working_hub, visitor):
    carol, dave = visitor(working_hub.url), visitor(working_hub.url)
    carol.sign_in("carol")
    page = carol.go("/settings")
    page.get_by_role("main").get_by_role("link", name="Organisations").click()
    page.get_by_role("main").get_by_role("link", name="New organisation").first.click()
    page.get_by_label("Name", exact=True).fill("guild")
    page.get_by_label("Full name").fill("The Guild")
    page.get_by_role("button", name="Create organisation").click()
    expect(page.get_by_text("guild is ready.")).to_be_visible()
    page.get_by_label("User name").fill("dave")
    page.get_by_role("radio", name="contributor").check()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("button", name="Withdraw the invitation of dave")).to_be_visible()
    expect(page.get_by_label("Role of dave", exact=True)).to_have_count(0)

    dave.sign_in("dave")
    page = dave.go_until("/settings/notifications", _newest_alert("carol invites you as contributor"))
    page.locator(".alerts li").first.get_by_role("link").click()
    page.get_by_role("button", name="Accept the invitation to guild").click()
    expect(page.get_by_role("heading", name="The Guild")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="Settings")).to_have_count(0)
    page.get_by_role("main").get_by_role("link", name="New adapter").first.click()
    expect(page.get_by_label("Owner")).to_have_value("guild")

    page = carol.go("/organizations/guild/settings")
    expect(page.get_by_label("Role of dave", exact=True)).to_have_value("contributor")
    page.get_by_label("Role of dave", exact=True).select_option("write")
    page.get_by_role("button", name="Save the role of dave").click()
    expect(page.get_by_label("Role of dave", exact=True)).to_have_value("write")
    page.get_by_role("button", name="Leave guild").click()
    expect(page.get_by_role("alert")).to_contain_text("without an administrator")

    page = dave.go("/settings/organizations")
    page.get_by_role("button", name="Leave guild").click()
    expect(page.get_by_role("button", name="Leave guild")).to_have_count(0)

    page = carol.go("/organizations/guild/settings/details")
    page.get_by_label("Name", exact=True).fill("works")
    page.get_by_role("button", name="Rename").click()
    expect(page).to_have_url(f"{working_hub.url}/organizations/works/settings/details")
    expect(carol.go("/guild").get_by_text("organisation · joined")).to_contain_text("works")
    page = carol.go("/organizations/works/settings/details")
    page.get_by_label("Delete this organisation").fill("works")
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/settings/organizations")
    expect(page.get_by_role("main").get_by_role("link", name="works", exact=True)).to_have_count(0)


def test_who_asks_for_files_is_let_in_and_both_are_told(working_hub, talked, visitor):
    alice, dave = visitor(working_hub.url), visitor(working_hub.url)
    talked["alice"].hf("repos", "create", "alice/gated")
    alice.sign_in("alice")
    page = alice.go("/alice/gated/access")
    page.get_by_role("radio", name="Those you approve").check()
    page.get_by_role("button", name="Save").click()
    dave.sign_in("dave")
    page = dave.go("/alice/gated")
    page.get_by_label("What for").fill("A study of reviews.")
    page.get_by_role("button", name="Ask for access").click()
    expect(page.get_by_text("You asked for access.")).to_be_visible()

    page = alice.go_until("/settings/notifications", _newest_alert("dave asked for access."))
    page.locator(".alerts li").first.get_by_role("link").click()
    expect(page.get_by_text("A study of reviews.")).to_be_visible()
    page.get_by_role("button", name="Accept dave").click()
    expect(page.get_by_role("button", name="Reject dave")).to_be_visible()

    page = dave.go_until("/settings/notifications", _newest_alert("You now have access to its files."))
    dave.go("/alice/gated")
    expect(page.get_by_text("You asked for access.")).to_have_count(0)


def test_a_fine_grained_token_is_made_used_and_revoked(working_hub, talked, visitor, tmp_path):
    bob = visitor(working_hub.url)
    bob.sign_in("bob")
    page = bob.go("/settings/tokens")
    page.get_by_label("Name", exact=True).fill("ci")
    page.get_by_role("radio", name="fine-grained").check()
    page.get_by_label("acme/talked").select_option("read")
    page.get_by_label("Ends on").fill("2099-01-31")
    page.get_by_role("button", name="Create token").click()
    ci = Client("2.4.0", working_hub.url, page.locator("[data-token]").inner_text(), tmp_path / "home")
    ci.hf("download", "acme/talked", "README.md")
    assert ci.try_hf("upload", "acme/talked", write(tmp_path / "x.md", "x"), "x.md").returncode != 0
    page = bob.go("/settings/tokens")
    row = page.get_by_role("row", name=re.compile("^ci "))
    expect(row).to_contain_text("just now")
    expect(row).to_contain_text("31 Jan 2099")
    expect(row).to_contain_text("acme/talked: read")
    row.get_by_role("button", name="Revoke ci").click()
    expect(page.get_by_role("row", name=re.compile("^ci "))).to_have_count(0)
    assert ci.try_hf("download", "acme/talked", "adapter_config.json").returncode != 0


def test_a_collection_is_filled_from_its_page(working_hub, talked, visitor):
    bob, carol = visitor(working_hub.url), visitor(working_hub.url)
    bob.sign_in("bob")
    page = bob.go("/collections/new")
    page.get_by_label("Title").fill("Adapters that read reviews")
    page.get_by_role("button", name="Create collection").click()
    page.get_by_label("Add", exact=True).fill("acme/talked")
    page.get_by_label("Note", exact=True).fill("Small, and proven.")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".entry")).to_contain_text("Small, and proven.")
    address = page.url.removeprefix(working_hub.url)
    page.get_by_label("Add", exact=True).fill("acme/nothing")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("acme/nothing")
    page = carol.go("/bob")
    page.get_by_role("link", name="Collections 1").click()
    page.get_by_role("link", name="Adapters that read reviews").click()
    expect(page.locator(".entry")).to_have_count(1)
    expect(page.get_by_role("button", name="Add", exact=True)).to_have_count(0)
    assert faults(bob.go(address)) == []


def test_forms_need_no_script(working_hub, talked, visitor):
    carol = visitor(working_hub.url, java_script_enabled=False)
    carol.sign_in("carol")
    page = carol.go(f"{HERE}/discussions/new")
    page.get_by_label("Title").fill("Without a script")
    page.get_by_label("What it is about").fill("It works.")
    page.get_by_role("button", name="Create", exact=True).click()
    page.locator("summary", has_text="Edit").click()
    page.get_by_label("Text of your comment").fill("It works well.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".comment .card-body")).to_have_text("It works well.")


def test_strangers_find_nothing_of_a_private_adapters_talk(working_hub, talked, visitor):
    talked["alice"].hf("repos", "create", "acme/covert", "--private")
    talked["alice"].hf("discussions", "create", "acme/covert", "--title", "A secret")
    erin, carol = visitor(working_hub.url), visitor(working_hub.url)
    erin.sign_in("erin")
    expect(erin.go("/acme/covert/discussions/1").get_by_role("heading", name="A secret")).to_be_visible()
    carol.sign_in("carol")
    for path in ("", "/discussions", "/discussions/1"):
        page = carol.go(f"/acme/covert{path}")
        expect(page.get_by_text("covert")).to_have_count(0)
        hidden = page.locator("main").inner_text()
        assert hidden == carol.go(f"/acme/never{path}").locator("main").inner_text()


def test_pages_of_people_are_readable_and_fit(working_hub, talked, visitor):
    one, guest = visitor(working_hub.url), visitor(working_hub.url)
    one.sign_in("alice")
    page = one.go("/organizations/acme/settings")
    page.get_by_label("User name").fill("mona")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("heading", name="Invited")).to_be_visible()
    guest.sign_in("mona")
    wrong = {}
    invited = [
        (guest, address) for address in ("/settings/notifications", "/acme", "/settings/organizations", "/settings")
    ]
    for who, address in [*((one, address) for address in PAGES), *invited]:
        page = who.go(address)
        assert page.locator("h1").count() == 1, address
        if found := look(page):
            wrong[address] = found
    assert wrong == {}
