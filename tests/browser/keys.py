"""A page as somebody without a mouse uses it."""

from playwright.sync_api import Locator, Page, expect

from tests.live import PASSWORD


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until this element has the focus."""
    expect(target).to_be_visible()
    for _ in range(150):
        if target.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {target}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    tab_to(page, target)
    page.keyboard.press(key)


def type_into(page: Page, target: Locator, text: str) -> None:
    """Type a text into a field, in place of what it holds: Tab selects that."""
    tab_to(page, target)
    page.keyboard.type(text)


def sign_in(page: Page, hub: str, name: str) -> None:
    page.goto(f"{hub}/login")
    type_into(page, page.get_by_label("User name"), name)
    type_into(page, page.get_by_label("Password"), PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Upload").first.wait_for()
