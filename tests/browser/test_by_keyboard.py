"""From a search to the lines that load an adapter, and from a folder to a withdrawn release, by keyboard alone."""

import pytest
from playwright.sync_api import expect

from tests.browser.keys import press, sign_in, type_into

pytestmark = pytest.mark.merge


def test_adapters_are_found_compared_and_used(furnished_hub, visitor):
    page = visitor(furnished_hub.url).go("/")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()
    page.keyboard.type("reviews")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("link", name="alice/reviews").first).to_be_visible()

    press(page, page.get_by_role("banner").get_by_role("link", name="Adapters"))
    for name in ("alice/reviews", "alice/spoilt"):
        press(page, page.get_by_role("checkbox", name=f"compare {name}"), "Space")
    press(page, page.get_by_role("button", name="Compare"))
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    press(page, page.get_by_role("main").get_by_role("link", name="alice/reviews").first)

    page.wait_for_url("**/alice/reviews")
    page.wait_for_load_state()
    press(page, page.locator("#use").get_by_role("link", name="vLLM", exact=True))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("vllm serve")
    press(page, dialog.get_by_role("link", name="peft"))
    expect(dialog).to_contain_text('revision="verified"')
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_folder_becomes_a_release_that_is_withdrawn(working_hub, visitor, reviews):
    page = visitor(working_hub.url).page
    sign_in(page, working_hub.url, "alice")
    press(page, page.get_by_role("banner").get_by_role("link", name="Upload"))
    page.wait_for_url("**/upload")
    page.wait_for_load_state()
    with page.expect_file_chooser() as chooser:
        press(page, page.get_by_role("button", name="Choose a folder"))
    chooser.value.set_files(reviews)
    expect(page.get_by_text("Nothing to fix.")).to_be_visible()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("all-MiniLM-L6-v2-text-classification")
    type_into(page, name, "by-keyboard")
    press(page, page.get_by_role("button", name="Publish", exact=True))
    page.wait_for_url("**/alice/by-keyboard/verdict/main")
    expect(page.locator("#proof .state")).to_contain_text("passed")

    press(page, page.get_by_role("navigation", name="Adapter").get_by_role("link", name="Versions"))
    press(page, page.get_by_role("link", name="Releases", exact=True))
    press(page, page.get_by_role("link", name="New release").first)
    type_into(page, page.get_by_label("Tag"), "v1.0.0")
    type_into(page, page.get_by_label("Notes"), "The first one.")
    press(page, page.get_by_role("button", name="Release", exact=True))
    release = page.get_by_role("article", name="v1.0.0")
    expect(release).to_contain_text("The first one.")

    press(page, release.locator("a[href*='/commit/']"))
    type_into(page, page.get_by_label("Yank this version"), "Wrong labels")
    press(page, page.get_by_role("button", name="Yank", exact=True))
    expect(page.get_by_text("Wrong labels").first).to_be_visible()
    press(page, page.get_by_role("navigation", name="Adapter").get_by_role("link", name="Versions"))
    press(page, page.get_by_role("link", name="Releases", exact=True))
    expect(page.get_by_role("article", name="v1.0.0")).to_contain_text("yanked")
