"""Tasks of people, by pages alone, with each click counted: a click, Enter in a field, or a key of the palette."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import REVIEWS, Visitor, own_reviews, state
from tests.clients import Client
from tests.live import BASE, TOKENS, Hub, wait_until

pytestmark = pytest.mark.merge

# The most clicks that each task may take. Typing is free; who has to sign in is signed in, and begins on the home.
LIMITS = {
    "lines": 3,  # an adapter for a base and a task, and the lines that run it
    "mistake": 4,  # an upload whose rank does not fit its tensors is fixed and verified
    "roll back": 3,  # two versions are compared, and `prod` goes back
    "robot": 10,  # an organisation, a team, a robot, and the file that CI needs
    "search": 2,  # the exact name is the first result
    "palette": 2,  # a page by keyboard alone
    "base": 2,  # a base that is not here is asked for
    "follow": 3,  # the news of a person are on the home
    "release": 7,  # from the report of an adapter to its release; whoever is told begins where the message leads
    "board": 4,  # a base, its board of a task, and the lines of the first place
}


class Clicks:
    """The clicks of everybody who takes part in a task."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def click(self, target: Locator) -> None:
        self.done.append(f"click {target}")
        target.page.wait_for_load_state()  # before its script has run, a link leads to the page of a dialog
        target.click()

    def enter(self, field: Locator, text: str) -> None:
        """Type a text and send it."""
        self.done.append(f"Enter in {field}")
        field.fill(text)
        field.press("Enter")

    def press(self, page: Page, key: str) -> None:
        self.done.append(key)
        page.keyboard.press(key)


@pytest.fixture
def task() -> Iterator[Callable[[str], Clicks]]:
    """Return a function that counts the clicks of a task by its name; at the end they are compared with its limit."""
    begun: dict[str, Clicks] = {}
    yield lambda name: begun.setdefault(name, Clicks())
    for name, clicks in begun.items():
        print(f"{name}: {len(clicks.done)} clicks of {LIMITS[name]}")
        assert len(clicks.done) <= LIMITS[name], "\n".join(clicks.done)


@pytest.fixture
def person(working_hub: Hub, visitor):
    """Return a function that gives the browser of somebody who is signed in, on their home."""

    def enter(name: str) -> Visitor:
        one = visitor(working_hub.url)
        one.sign_in(name)
        one.go("/")
        return one

    return enter


@pytest.fixture(scope="module")
def ranked_hub(furnished_hub: Hub, tmp_path_factory) -> Hub:
    """The furnished hub with a second adapter that was measured on the same rows: one alone has no board."""
    home = tmp_path_factory.mktemp("ranked")
    client = Client("2.4.0", furnished_hub.url, TOKENS["alice"], home / "home")
    client.hf("upload", "alice/second-reviews", own_reviews(home / REVIEWS.name, "ranked_hub"))
    wait_until(lambda: state(furnished_hub, "second-reviews") == "passed", furnished_hub)
    return furnished_hub


def in_main(page: Page, role: str, name: str) -> Locator:
    return page.get_by_role("main").get_by_role(role, name=name, exact=True)


def field(page: Page) -> Locator:
    return page.get_by_role("banner").locator("#find")


def on_home(one: Visitor) -> Page:
    """Go to the home once a board is there: what is measured is counted once in a while."""
    one.go_until(f"/bases/{BASE}?task=text-classification", lambda page: page.locator(".board tbody tr").first)
    return one.go("/")


def told(one: Visitor, words: str) -> Page:
    """Open what a message to somebody links to, as from their mail."""
    page = one.go_until("/settings/notifications", lambda page: page.locator(".alerts li", has_text=words).first)
    address = page.locator(".alerts li", has_text=words).first.get_by_role("link").first.get_attribute("href")
    return one.go(str(address).removeprefix(one.base))


def rest(hub: Hub, route: str, body: dict | None = None, method: str = "") -> dict:
    headers = {"Authorization": f"Bearer {TOKENS['alice']}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{hub.url}/api/v1/{route}", data, headers, method=method or None)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_an_adapter_for_a_base_and_a_task_is_found_with_its_lines(ranked_hub, visitor, task):
    clicks = task("lines")
    page = on_home(visitor(ranked_hub.url))
    clicks.click(page.get_by_role("main").get_by_role("link", name="all-MiniLM-L6-v2").first)
    board = page.locator("#boards")
    expect(board.locator("nav [aria-current]")).to_contain_text("text classification")
    clicks.click(board.get_by_role("link", name=re.compile("^Use ")).first)
    expect(page.get_by_role("dialog")).to_contain_text("from peft import PeftModel")


def test_the_first_place_of_a_board_is_used(ranked_hub, visitor, task):
    clicks = task("board")
    page = on_home(visitor(ranked_hub.url))
    clicks.click(page.get_by_role("banner").get_by_role("link", name="Base models"))
    clicks.click(page.get_by_role("main").get_by_role("link", name=BASE).first)
    clicks.click(page.locator("#boards").get_by_role("link", name=re.compile("^text classification")))
    first = page.locator(".board tbody tr").first
    clicks.click(first.get_by_role("link", name=re.compile("^Use ")))
    expect(page.get_by_role("dialog")).to_contain_text("from peft import PeftModel")


def test_an_upload_with_a_wrong_rank_is_fixed_and_verified(person, task, reviews):
    clicks = task("mistake")
    page = person("alice").page
    config = reviews / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 8', '"r": 16'))
    clicks.click(page.get_by_role("banner").get_by_role("link", name="Upload"))
    with page.expect_file_chooser() as chooser:
        clicks.click(page.get_by_role("button", name="Choose a folder"))
    chooser.value.set_files(reviews)
    expect(page.get_by_text("config.rank").first).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("all-MiniLM-L6-v2-text-classification")
    page.get_by_label("Name", exact=True).fill("mistaken")
    clicks.click(in_main(page, "button", "Fix it").first)
    expect(page.get_by_text("Nothing to fix.")).to_be_visible()
    clicks.click(in_main(page, "button", "Publish"))
    page.wait_for_url("**/alice/mistaken/verdict/main")
    expect(page.locator("#proof .state")).to_contain_text("passed", timeout=180_000)
    page.goto(page.url.partition("/verdict")[0])
    expect(page.locator("#use")).to_contain_text("dovetail pull alice/mistaken@verified")


def test_two_versions_are_compared_and_prod_goes_back(working_hub, person, task, tmp_path):
    clicks = task("roll back")
    client = Client("2.4.0", working_hub.url, TOKENS["alice"], tmp_path / "home")
    here = "adapters/alice/rolled"
    for number in "12":
        client.hf("upload", "alice/rolled", own_reviews(tmp_path / number, f"rolled {number}"))
        address = f"{here}/revisions/main/verdict"
        wait_until(lambda: rest(working_hub, address)["state"] == "passed", working_hub)  # noqa: B023  # at once
        rest(working_hub, f"{here}/aliases/prod", {"revision": "main"}, "PUT")
    page = person("alice").page
    page.goto(f"{working_hub.url}/alice/rolled")
    clicks.click(page.get_by_role("navigation", name="Adapter").get_by_role("link", name="Versions"))
    clicks.click(page.get_by_title("Compare them").first)
    expect(page.locator(".conclusion")).to_be_visible()
    clicks.click(page.get_by_role("button", name=re.compile("^Roll prod back to")))
    page.wait_for_load_state()
    page.goto(f"{working_hub.url}/alice/rolled/commits/main")
    expect(page.locator("table.versions tbody tr").last).to_contain_text("prod")


def test_an_organisation_gets_a_team_and_a_robot_with_its_file(working_hub, person, task):
    clicks = task("robot")
    page = person("carol").page
    clicks.click(page.locator("summary", has_text="carol"))
    clicks.click(page.get_by_role("banner").get_by_role("link", name="Organisations"))
    clicks.click(in_main(page, "link", "New organisation").first)
    page.get_by_label("Name", exact=True).fill("foundry")
    clicks.click(page.get_by_role("button", name="Create organisation"))
    clicks.click(page.get_by_role("main").get_by_role("link", name="Teams", exact=True))
    page.get_by_label("Name", exact=True).fill("nlp")
    clicks.click(page.get_by_role("button", name="Create team"))
    page.get_by_label("Names", exact=True).fill("nlp-*")
    clicks.click(page.get_by_role("button", name="Open repositories"))
    expect(page.get_by_text("foundry/nlp-*", exact=True)).to_be_visible()
    clicks.click(page.get_by_role("main").get_by_role("link", name="Robots", exact=True))
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_role("textbox", name="Repositories").fill("foundry/nlp-*")
    clicks.click(page.get_by_role("button", name="Create robot"))
    expect(page.locator("[data-token]")).to_contain_text("dvt_")
    expect(page.locator("#ci-file")).to_contain_text("HF_TOKEN: ${{ secrets.DOVETAIL_TOKEN }}")


def test_the_exact_name_comes_first(furnished_hub, visitor, task):
    clicks = task("search")
    page = visitor(furnished_hub.url).go("/")
    clicks.enter(field(page), "reviews")
    page.wait_for_url("**/adapters?q=reviews")
    first = page.locator("[data-item]").first
    expect(first).to_have_text("alice/reviews")
    clicks.click(first)
    page.wait_for_url("**/alice/reviews")


def test_a_page_is_reached_by_keyboard_alone(person, task):
    clicks = task("palette")
    page = person("alice").page
    clicks.press(page, "Control+k")
    page.keyboard.type("access tok")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("Access tokens"))
    clicks.press(page, "Enter")
    page.wait_for_url("**/settings/tokens")


def test_a_base_that_is_not_here_is_asked_for(person, task):
    clicks = task("base")
    page = person("carol").page
    clicks.enter(field(page), "acme/Nowhere-7B")
    clicks.click(page.get_by_role("button", name="Ask for this base"))
    expect(page.get_by_text("You asked for it")).to_be_visible()


def test_news_of_a_person_who_is_followed_are_on_the_home(working_hub, person, task, tmp_path):
    clicks = task("follow")
    bob = Client("2.4.0", working_hub.url, TOKENS["bob"], tmp_path / "home")
    bob.hf("upload", "bob/first", own_reviews(tmp_path / "first", "follow first"))
    erin = person("erin")
    page = erin.go("/bob/first")
    clicks.click(page.get_by_role("main").get_by_role("link", name="bob", exact=True).first)
    clicks.click(page.get_by_role("button", name="Follow"))
    expect(page.get_by_role("button", name="Following")).to_be_visible()
    bob.hf("upload", "bob/second", own_reviews(tmp_path / "second", "follow second"))
    clicks.click(page.get_by_role("link", name="Dovetail"))
    erin.go_until("/", lambda page: page.locator("main").get_by_role("link", name="bob/second").first)


def test_an_adapter_is_reported_held_back_and_released(working_hub, person, task, reviews, tmp_path):
    clicks = task("release")
    Client("2.4.0", working_hub.url, TOKENS["alice"], tmp_path / "home").hf("upload", "alice/doubted", reviews)
    carol, mona, alice = person("carol"), person("mona"), person("alice")
    page = carol.go("/alice/doubted")
    clicks.click(page.get_by_role("complementary").get_by_role("link", name="Report this adapter"))
    clicks.click(page.get_by_label("Malware: it runs code or attacks those who load it"))
    page.get_by_label("What did you see?").fill("It names a base that is not what it says.")
    clicks.click(page.get_by_role("button", name="Send report"))
    expect(page.get_by_text("waits for a moderator")).to_be_visible()

    page = mona.go("/")
    clicks.click(in_main(page, "link", "Decide").first)
    page.locator("#panel").get_by_label("Reason", exact=True).fill("Its base is not what it says.")
    clicks.click(page.get_by_role("button", name="Quarantine the version"))
    expect(page.get_by_text("is closed: version quarantined")).to_be_visible()

    page = told(alice, "alice/doubted was quarantined")
    page.get_by_label("Why should it be released?").fill("The base is named as the hub names it.")
    clicks.click(page.get_by_role("button", name="Appeal"))
    expect(mona.go("/").get_by_role("link", name="Decide about alice/doubted")).to_be_visible()
    page = told(mona, "An owner appealed the quarantine of alice/doubted")
    page.get_by_label("Reason").fill("The owner is right.")
    clicks.click(page.get_by_role("button", name="Approve and release"))
    expect(page.get_by_text("is approved.")).to_be_visible()
    expect(carol.go("/alice/doubted").get_by_role("heading", level=1)).to_contain_text("doubted")
