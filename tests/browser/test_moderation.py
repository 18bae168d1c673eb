"""A report becomes a quarantine, an appeal and a release, all by keyboard; the pages are for everybody."""

import json
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import REVIEWS, own_reviews
from tests.browser.keys import press, sign_in, tab_to, type_into
from tests.browser.looks import look
from tests.clients import Client
from tests.live import TOKENS

pytestmark = pytest.mark.merge

ADAPTER = "alice/moderated"


@pytest.fixture(scope="module")
def adapter(live_hub, tmp_path_factory) -> str:
    home = tmp_path_factory.mktemp("home")
    reviews = own_reviews(home / "reviews-lora", __name__)
    Client("2.4.0", live_hub.url, TOKENS["alice"], home).hf("upload", ADAPTER, reviews)
    return ADAPTER


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_report_claim_quarantine_appeal_release_by_keyboard_alone(live_hub, adapter, visitor):
    carol, mona, alice = (visitor(live_hub.url) for _ in range(3))
    page = carol.page
    sign_in(page, live_hub.url, "carol")
    page.goto(f"{live_hub.url}/{ADAPTER}/blob/main/adapter_config.json")
    press(page, page.get_by_role("link", name="Report this file"))
    tab_to(page, page.get_by_role("radio", name="Malware: it runs code or attacks those who load it"))
    page.keyboard.press("Space")
    type_into(page, page.get_by_label("What did you see?"), "It names a base that is not what it says.")
    press(page, page.get_by_role("button", name="Send report"))
    expect(page.get_by_text("waits for a moderator")).to_be_visible()

    page = mona.page
    sign_in(page, live_hub.url, "mona")
    page.goto(f"{live_hub.url}/moderation")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("[data-item]").first).to_be_focused()
    page.keyboard.press("e")
    expect(page.locator("#panel")).to_contain_text("It names a base that is not what it says.")
    page.wait_for_load_state()  # a key that is pressed before the script has run does nothing
    page.keyboard.press("c")
    expect(page.locator("#panel")).to_contain_text("claimed by mona")
    page.wait_for_load_state()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("claim the open case")
    page.keyboard.press("Escape")
    page.keyboard.press("q")
    page.keyboard.type("Its base is not what it says.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is closed: version quarantined")).to_be_visible()
    assert status(f"{live_hub.url}/{ADAPTER}") == 404

    page = alice.page
    sign_in(page, live_hub.url, "alice")
    page.goto(f"{live_hub.url}/{ADAPTER}")
    expect(page.get_by_text("Its base is not what it says.")).to_be_visible()
    type_into(page, page.get_by_label("Why should it be released?"), "The base is named as the hub names it.")
    press(page, page.get_by_role("button", name="Appeal"))
    expect(page.get_by_role("heading", name=f"Appeal about {ADAPTER}")).to_be_visible()

    page = mona.page
    page.goto(f"{live_hub.url}/moderation/appeals")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    type_into(page, page.get_by_label("Reason"), "The owner is right.")
    press(page, page.get_by_role("button", name="Approve and release"))
    expect(page.get_by_text("is approved.")).to_be_visible()
    assert status(f"{live_hub.url}/{ADAPTER}") == 200
    alice.page.reload()
    expect(alice.page.get_by_text("approved")).to_be_visible()
    carol.page.reload()
    expect(carol.page.get_by_text("Its base is not what it says.")).to_be_visible()


PAGES = (
    "/moderation",
    "/moderation/cases",
    "/moderation/cases/{case}",
    "/moderation/appeals",
    "/moderation/reporters",
    "/moderation/people/alice",
    "/settings/reports",
    "/moderation/appeals/{appeal}",
    "/moderation/files/alice/withheld/at/main/README.md",
    "/alice/withheld",
    "/settings/standing",
    f"/reports/new?type=adapter&id={ADAPTER}",
)
OWN = ("/", "/alice/withheld", "/settings/standing", "/settings/appeals/{appeal}")
HOLD = """
from features.moderation import appeals
from registry.kernel.policy import Caller
from registry.models import Repository, User
from registry.moderation import quarantine
alice, mona = (Caller(user=User.objects.get(username=name)) for name in ("alice", "mona"))
row = Repository.objects.get(name="withheld")
quarantine.quarantine(row, mona, reason="It carries a pickle that can run code when it is loaded.", note="Seen by X.")
appeal = appeals.open_appeal(row, alice, "It is a test of ours.")
appeals.write(appeal, mona, "Which file do you mean?", as_moderator=True)
appeals.write(appeal, mona, "For us alone.", internal=True, as_moderator=True)
print(appeal.pk)
"""


def test_the_pages_of_moderation_are_readable_and_fit(live_hub, adapter, visitor, tmp_path):
    Client("2.4.0", live_hub.url, TOKENS["alice"], tmp_path).hf("upload", "alice/withheld", REVIEWS)
    known = {"case": reported(live_hub), "appeal": live_hub.manage("shell", "-c", HOLD).split()[-1]}
    wrong = {}
    for name, pages in (("mona", PAGES), ("alice", OWN)):
        one = visitor(live_hub.url)
        one.sign_in(name)
        wrong |= {f"{name}: {path}": found for path in pages if (found := look(one.go(path.format(**known))))}
    assert wrong == {}


def reported(hub) -> int:
    """Report the adapter over REST and return the number of the case."""
    places = [{"file": "README.md", "line": 2}]
    body = {"adapter": ADAPTER, "reason": "backdoor", "text": "It answers a trigger.", "evidence": places}
    request = urllib.request.Request(
        f"{hub.url}/api/v1/reports",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKENS['dave']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(json.load(answer)["id"])
