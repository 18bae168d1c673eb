"""The palette as a keyboard meets it in a real browser, wide and narrow."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import faults
from tests.clients import Client
from tests.live import TOKENS

pytestmark = pytest.mark.merge


@pytest.fixture
def hub(live_hub, tmp_path):
    alice = Client("2.4.0", live_hub.url, TOKENS["alice"], tmp_path)
    for name in ("alice/palette-one", "alice/palette-two"):
        alice.hf("repos", "create", name, "--exist-ok")
    return live_hub


def test_an_adapter_is_reached_by_a_few_letters(hub, visitor):
    page = visitor(hub.url).go("/docs")
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search")
    expect(field).to_be_focused()
    page.keyboard.type("palette")
    suggestions = page.get_by_role("listbox", name="Suggestions")
    expect(suggestions.get_by_role("option", name="alice/palette-two")).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    assert faults(page) == []
    page.keyboard.press("ArrowDown")
    first = suggestions.get_by_role("option").first
    expect(first).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(first).to_have_attribute("aria-selected", "false")  # Enter would search now
    page.keyboard.press("Escape")
    expect(suggestions).to_be_hidden()
    expect(field).to_have_value("palette")
    page.keyboard.press("ArrowDown")  # opens it again, and chooses the first
    chosen = suggestions.locator("[aria-selected=true]").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{chosen}")


def test_ctrl_k_opens_it_and_enter_goes_to_the_first(hub, visitor):
    page = visitor(hub.url).go("/docs")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Documentation")).to_be_visible()
    page.keyboard.type("status")
    expect(page.get_by_role("option").first).to_have_text("Status")
    page.keyboard.press("Enter")
    page.wait_for_url("**/status")


def test_on_a_phone_one_row_holds_the_field_and_the_menu(hub, visitor):
    page = visitor(hub.url, viewport={"width": 390, "height": 844}).go("/docs")
    assert page.locator(".top").bounding_box()["height"] <= 57
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Adapters", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()
    page.keyboard.type("palette-one")
    option = page.get_by_role("option", name="alice/palette-one")
    expect(option).to_be_visible()
    assert faults(page) == []
    option.click()
    page.wait_for_url("**/alice/palette-one")


def test_without_a_script_the_field_is_a_form_and_the_menu_opens(hub, visitor):
    page = visitor(hub.url, java_script_enabled=False, viewport={"width": 390, "height": 844}).go("/docs")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("searchbox", name="Search").fill("palette-one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="palette-one").first).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Docs", exact=True)).to_be_visible()
