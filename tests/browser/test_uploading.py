"""A folder goes from a disk to a verdict by the browser alone; then its card is edited."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import faults
from tests.clients import Client
from tests.live import TOKENS

pytestmark = pytest.mark.merge


def test_a_folder_is_uploaded_proven_and_its_card_edited(working_hub, visitor, reviews):
    alice = visitor(working_hub.url)
    alice.sign_in("alice")
    page = alice.go("/upload")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(reviews)
    expect(page.get_by_text("LoRA, rank 8")).to_be_visible()
    expect(page.get_by_text(f"{len(list(reviews.iterdir()))} files")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("by-browser")
    expect(page.get_by_text("Nothing to fix.")).to_be_visible()
    assert faults(page) == []
    page.get_by_label("Languages").fill("en")
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_url("**/alice/by-browser/verdict/main")
    expect(page.locator("#proof .state")).to_contain_text("passed", timeout=60_000)

    page = alice.go("/upload")
    page.locator('input[type="file"]').set_input_files(reviews / "adapter_config.json")
    page.get_by_label("Name", exact=True).fill("by-browser")
    page.get_by_label("Languages").focus()
    expect(page.get_by_text("alice/by-browser exists already")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Discard this upload").click()
    expect(page.get_by_role("button", name="Choose a folder")).to_be_visible()

    page = alice.go("/alice/by-browser")
    page.get_by_role("link", name="Edit the card").click()
    text = page.get_by_label("Text")
    text.fill(text.input_value() + "\n## Where it fails\n\nIt fails with **irony**.\n")
    expect(page.locator("#preview strong", has_text="irony")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Commit", exact=True).click()
    page.wait_for_url("**/alice/by-browser/verdict/main")
    alice.go("/alice/by-browser")
    expect(page.get_by_text("It fails with")).to_be_visible()
    alice.go("/alice/by-browser/tree/main")
    expect(page.locator("table.files")).to_contain_text("Update README.md")
    assert faults(page) == []


def test_a_text_that_was_typed_before_the_script_came_is_previewed(working_hub, visitor, tmp_path):
    (tmp_path / "README.md").write_text("# Early\n")
    client = Client("2.4.0", working_hub.url, TOKENS["alice"], tmp_path / "home")
    client.hf("upload", "alice/typed-early", tmp_path / "README.md")
    alice, held = visitor(working_hub.url), []
    alice.sign_in("alice")
    alice.context.route("**/htmx*.js", lambda route: held.append(route))
    with alice.page.expect_request("**/htmx*.js"):
        alice.page.goto(f"{working_hub.url}/alice/typed-early/edit/main/README.md", wait_until="commit")
    alice.page.get_by_label("Text").fill("It fails with **irony**.")
    expect(alice.page.locator("#preview")).to_be_empty()
    [script] = held
    script.continue_()
    expect(alice.page.locator("#preview strong", has_text="irony")).to_be_visible()
