"""Pages in another language, and from right to left, in real Chromium."""

import pytest
from playwright.sync_api import expect

from tests.browser.looks import look

pytestmark = pytest.mark.merge

TURNED = """getComputedStyle(document.body.appendChild(
    Object.assign(document.createElement("span"), {className: "turns"}))).transform"""
PAGES = [
    "/",
    "/adapters",
    "/alice/reviews",
    "/alice/reviews/verdict/main",
    "/alice/reviews/use?tool=peft",
    "/login",
    "/docs/checks",
]


def test_pages_are_readable_and_fit_in_german_and_from_right_to_left(furnished_hub, visitor):
    one, wrong = visitor(furnished_hub.url, locale="de-DE"), {}
    for address in PAGES:
        page = one.go(address)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        wrong[address] = look(page)
        page.evaluate("document.documentElement.dir = 'rtl'")
        wrong[f"{address} from right to left"] = look(page)
    assert page.evaluate(TURNED) == "matrix(-1, 0, 0, 1, 0, 0)"  # an arrow, from right to left
    assert {address: found for address, found in wrong.items() if found} == {}


def test_a_stranger_chooses_german_without_script_and_code_stays_as_it_is(furnished_hub, visitor):
    one = visitor(furnished_hub.url, java_script_enabled=False)
    page = one.go("/alice/reviews/use?tool=peft")
    code = page.locator("pre").first.inner_text()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert page.url.endswith("/alice/reviews/use?tool=peft")
    assert page.locator("pre").first.inner_text() == code
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en-gb")
