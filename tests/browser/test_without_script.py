"""Moderation, the settings of an account and the life of a repository, by people whose browser runs no script."""

import re
import time
import zipfile
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests import live
from tests.browser.conftest import REVIEWS
from tests.clients import Client
from tests.live import PASSWORD, TOKENS, Hub

pytestmark = pytest.mark.merge

ADAPTER = "alice/scriptless"


@pytest.fixture(scope="module")
def live_hub(tmp_path_factory) -> Iterator[Hub]:
    """A hub of these tests alone: an account ends in them."""
    with live.hub(tmp_path_factory.mktemp("scriptless") / "data") as hub:
        yield hub


@pytest.fixture(scope="module")
def adapter(live_hub, tmp_path_factory) -> str:
    client = Client("2.4.0", live_hub.url, TOKENS["alice"], tmp_path_factory.mktemp("home"))
    client.hf("upload", ADAPTER, REVIEWS)
    client.hf("upload", ADAPTER, REVIEWS / "adapter_config.json", "copy.json")
    return ADAPTER


@pytest.fixture
def someone(live_hub, visitor):
    """Return a function that signs somebody in without a script."""

    def sign_in(name: str):
        one = visitor(live_hub.url, java_script_enabled=False)
        one.sign_in(name)
        return one

    return sign_in


def press(page: Page, name: str, **options) -> None:
    page.get_by_role("main").get_by_role("button", name=name, **options).first.click()


def test_a_report_becomes_a_quarantine_an_appeal_and_a_release(live_hub, adapter, someone):
    carol, mona, alice = someone("carol"), someone("mona"), someone("alice")
    page = carol.go(f"/{ADAPTER}/blob/main/adapter_config.json")
    page.get_by_role("link", name="Report this file").click()
    page.get_by_label("Malware: it runs code or attacks those who load it").check()
    page.get_by_label("What did you see?").fill("Look at its base.")
    press(page, "Send report")
    expect(page.get_by_text("waits for a moderator")).to_be_visible()

    page = mona.go("/moderation?state=waiting&target=file")
    page.get_by_role("row", name=ADAPTER).get_by_role("link").first.click()
    press(page, "Claim")
    expect(page.locator("#panel")).to_contain_text("claimed by mona")
    page = mona.go("/moderation?state=waiting&target=file")
    page.get_by_text("Save these filters as a view").click()
    page.get_by_label("Name of the view").fill("Files")
    press(page, "Save view")
    expect(page.get_by_role("link", name="Files", exact=True)).to_be_visible()
    page = mona.go("/moderation?state=mine")
    page.get_by_role("row", name=ADAPTER).get_by_role("link").first.click()
    page.locator("#panel").get_by_label("Outcome").select_option(label="Quarantined as a whole")
    page.locator("#panel").get_by_label("Reason", exact=True).fill("Its base is not what it says.")
    press(page, "Close the case")
    press(page, "Quarantine every version")
    expect(page.get_by_text("is closed: quarantined as a whole")).to_be_visible()

    page = alice.go(f"/{ADAPTER}")
    page.get_by_label("Why should it be released?").fill("It is.")
    press(page, "Appeal")
    page = mona.go("/moderation/appeals")
    page.get_by_role("main").get_by_role("link", name=ADAPTER).first.click()
    page.get_by_label("Reason").fill("The owner is right.")
    press(page, "Approve and release")
    expect(page.get_by_text("is approved.")).to_be_visible()
    expect(carol.go("/settings/reports").get_by_text("Its base is not what it says.")).to_be_visible()
    assert carol.page.goto(f"{live_hub.url}/{ADAPTER}").status == 200


def test_a_repository_is_watched_yanked_deprecated_archived_deleted_and_restored(live_hub, adapter, someone):
    carol, alice = someone("carol"), someone("alice")
    page = carol.go(f"/{ADAPTER}")
    page.locator("summary", has_text="Watch").click()
    page.get_by_role("button", name=re.compile("^Everything")).click()
    expect(page.locator("summary", has_text="Watching")).to_be_visible()
    page = carol.go("/alice")
    page.get_by_role("button", name="Follow").click()
    expect(page.get_by_role("button", name="Following")).to_be_visible()
    page.get_by_role("button", name="Following").click()

    page = alice.go(f"/{ADAPTER}/commits/main")
    row = page.get_by_role("row", name="Upload copy.json")
    row.get_by_label("More about").click()
    row.get_by_role("link", name="Yank").click()
    page.get_by_label("Yank this version").fill("Wrong labels")
    press(page, "Yank")
    expect(page.get_by_text("Wrong labels").first).to_be_visible()
    press(page, "Undo the yank")
    expect(page.get_by_label("Yank this version")).to_be_visible()
    page = alice.go(f"/{ADAPTER}/settings")
    page.get_by_label("Deprecated").fill("Use a newer one.")
    press(page, "Deprecate")
    expect(carol.go(f"/{ADAPTER}").get_by_text("Use a newer one.")).to_be_visible()
    alice.go(f"/{ADAPTER}/settings")
    press(page, "Undo the deprecation")
    press(page, "Archive")
    expect(carol.go(f"/{ADAPTER}").get_by_text("archived").first).to_be_visible()
    alice.go(f"/{ADAPTER}/settings")
    press(page, "Unarchive")
    alice.go(f"/{ADAPTER}/settings")
    page.get_by_label("Delete this adapter").fill(ADAPTER)
    press(page, "Delete")
    assert carol.page.goto(f"{live_hub.url}/{ADAPTER}").status == 404
    page = alice.go("/settings/repositories")
    card = page.get_by_role("region", name=ADAPTER)
    card.get_by_role("button", name="Restore").click()
    assert carol.page.goto(f"{live_hub.url}/{ADAPTER}").status == 200


def test_sessions_codes_export_and_the_end_of_an_account(live_hub, someone):
    here, other = someone("dave"), someone("dave")
    page = here.go("/settings/security")
    press(page, "Sign out everywhere else")
    other.go("/settings/security")
    expect(other.page.get_by_label("Password")).to_be_visible()

    page = here.go("/settings/security")
    page.get_by_role("link", name="Set up an app").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    press(page, "Set up")
    expect(page.locator("#recovery-codes")).to_be_visible()

    page = here.go("/settings/account")
    with page.expect_download() as download:
        press(page, "Download")
    with zipfile.ZipFile(download.value.path()) as export:
        assert b'"dave"' in export.read("profile.json")
    page.locator("input[name=confirm]").fill("dave")
    press(page, "Delete account")
    if page.get_by_label("Password").count():  # the proof of the sign-in is old on a slow machine
        page.get_by_label("Password").fill(PASSWORD)
        press(page, "Confirm")
    assert here.page.goto(f"{live_hub.url}/dave").status == 404
