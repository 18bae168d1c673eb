"""Every page in light and dark, wide and narrow: readable by everybody, within the screen, usable by keyboard."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import REVIEWS, derived_revision
from tests.browser.looks import faults, look
from tests.clients import Client
from tests.live import TOKENS

pytestmark = pytest.mark.merge

PUBLIC = [
    "/", "/adapters", "/adapters?q=reviews&verdict=passed&kind=lora&view=table", "/adapters?q=zzzz&kind=ia3",
    "/search?q=reviews", "/bases?task=text-classification", "/alice/reviews",
    "/alice/reviews/verdict/main", "/alice/reviews/tree/main", "/alice/reviews/blob/main/adapter_config.json",
    "/alice/reviews/commits/main", "/alice/reviews/commit/main", "/alice/spoilt", "/alice/spoilt/verdict/main",
    "/alice/waiting", "/alice", "/acme", "/bases", "/bases/sentence-transformers/all-MiniLM-L6-v2",
    "/bases/meta-llama/Llama-3.1-8B", "/stats/changes", "/join", "/login", "/nothing/here", "/docs", "/docs/start",
    "/docs/start-vllm", "/docs/operate", "/docs?q=read+plane",
    "/alice/reviews/use?tool=vllm", "/alice/reviews/use?tool=forms", "/alice/reviews/lineage",
    "/alice/reviews/try", "/simple/", "/alice/reviews/security", "/simple/dovetail-hub/",
]  # fmt: skip
OWN = [
    "/settings/notifications",
    "/settings/searches",
    "/settings/tokens",
    "/settings/publishers",
    "/alice/reviews/settings/publishers",
    "/alice/reviews/settings/retention?keep_last=1&keep_days=1",
    "/settings/usage",
    "/settings/usage/retention/alice?keep_last=1&keep_days=1",
    "/organizations/acme/settings",
    "/organizations/acme/settings/details",
    "/organizations/acme/settings/teams",
    "/organizations/acme/settings/activity",
    "/organizations/acme/settings/links",
    "/organizations/acme/settings/robots",
    "/settings/profile",
    "/settings/password",
    "/new",
    "/acme/private",
    "/alice/reviews/releases/new",
    "/alice/reviews/try",
    "/alice/reviews/commit/main",
    "/alice/reviews/commit/main/merge",
    "/alice/reviews/tree/main",
    "/alice/reviews/edit/main?path=notes.md",
    "/alice/reviews/edit/main/README.md",
    "/alice/reviews/rename/main/README.md",
    "/alice/reviews/delete/main/README.md",
]


def wrong_on(pages) -> dict[str, list[str]]:
    """Return what is wrong with each of these (name, page), which are opened one after the other."""
    return {name: found for name, page in pages if (found := look(page))}


def uploading(one, folder):
    """Upload an adapter without its weights, with a rank that fails, to see all that the pages may say."""
    config = folder / "adapter_config.json"
    config.write_text((REVIEWS / config.name).read_text().replace('"r": 8', '"r": 0'))
    yield "/upload", one.go("/upload")
    page = one.go("/alice/reviews/upload/main")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a folder, files, or a zip first.")
    page.locator('input[type="file"]').set_input_files([config, REVIEWS / "README.md"])
    yield "chosen files", page
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("button", name="Commit anyway")).to_be_visible()
    yield "files before their commit", page


def opened(one):
    """Open what pages keep closed."""
    page = one.go("/alice/reviews/commits/main")
    page.locator("[data-list]").get_by_label("More about").first.click()
    yield "menu of a version", page
    page.get_by_text("Branches and tags").click()
    page.get_by_text("Set or move an alias").click()
    yield "names of versions", page
    page = one.go("/alice/reviews")
    page.get_by_role("link", name="Use this adapter").click()
    page.get_by_role("dialog").get_by_role("link", name="vLLM").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="vLLM")).to_be_visible()
    page.get_by_role("dialog").get_by_role("link", name="Other forms").click()
    page.get_by_text("Make another form").click()
    yield "other forms", page
    page = one.go("/settings/tokens")
    page.get_by_label("Name").fill("looked at")
    page.get_by_role("button", name="Create token").click()
    page.locator("#token-value").wait_for()
    page.wait_for_load_state()  # a click waits for the answer to begin, not for its style
    yield "a new token", page


def test_every_public_page_is_readable_and_fits(furnished_hub, visitor):
    one = visitor(furnished_hub.url)
    addresses = [*PUBLIC, f"/alice/reviews/commit/{derived_revision(furnished_hub)}"]
    assert wrong_on((address, one.go(address)) for address in addresses) == {}


def test_every_page_of_who_is_signed_in_is_readable_and_fits(furnished_hub, visitor, tmp_path):
    one = visitor(furnished_hub.url)
    one.sign_in("alice")
    assert wrong_on((address, one.go(address)) for address in OWN) == {}
    assert wrong_on(opened(one)) == {}
    assert wrong_on(uploading(one, tmp_path)) == {}


def test_the_keyboard_reaches_what_the_mouse_does(furnished_hub, visitor):
    one = visitor(furnished_hub.url)
    page = one.go("/adapters")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("[data-item]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".tabs")).to_be_visible()
    page.wait_for_load_state()  # keys are heard once the script has run
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/bases")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()
    page.keyboard.type("reviews ?j")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("combobox", name="Search")).to_have_value("reviews ?j")


def test_focus_is_always_visible(furnished_hub, visitor):
    one = visitor(furnished_hub.url)
    page = one.go("/alice/reviews/verdict/main")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => {
                const at = document.activeElement, shown = at.closest('label') || at;
                const seen = (element) => getComputedStyle(element).outlineStyle !== 'none';
                if (at === document.body || seen(at) || seen(shown)) return '';
                // What is drawn has another stroke instead: an outline would be stretched with the drawing.
                const strokes = () => [...at.querySelectorAll('svg a > *')].map((one) => getComputedStyle(one).stroke);
                const focused = strokes().join();
                at.blur();
                const drawn = strokes().join() !== focused;
                at.focus();
                return drawn ? '' : at.outerHTML.slice(0, 120);
            }"""
        )
        unseen += [outlined] if outlined else []
    assert unseen == []


def test_the_theme_is_kept_and_does_not_flash(furnished_hub, visitor):
    one = visitor(furnished_hub.url, color_scheme="light")
    page = one.go("/")
    page.get_by_role("button", name="Theme: system").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 19)"
    page = one.go("/adapters")
    assert 'data-theme="dark"' in page.content()
    page.get_by_role("button", name="Theme: dark").click()
    page.get_by_role("button", name="Theme: light").click()
    assert "data-theme=" not in one.go("/bases").content().partition("<body")[0]


def test_what_is_copied_is_the_whole_text(furnished_hub, visitor):
    one = visitor(furnished_hub.url, permissions=["clipboard-read", "clipboard-write"])
    page = one.go("/alice/reviews")
    page.locator("#use").get_by_role("link", name="peft").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".copy").first.click()
    expect(dialog.locator(".copy").first).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == dialog.locator("pre").inner_text().strip()
    assert "from peft import PeftModel\n" in copied
    dialog.get_by_role("link", name="curl").click()
    expect(dialog).to_contain_text("/alice/reviews/resolve/verified/adapter_model.safetensors")
    dialog.get_by_role("button", name="Close").click()
    page.locator(".facts .copy").last.click()
    assert len(page.evaluate("navigator.clipboard.readText()")) == 40


def test_reading_needs_no_script(furnished_hub, visitor):
    one = visitor(furnished_hub.url, java_script_enabled=False)
    page = one.go("/adapters?q=reviews")
    page.get_by_role("main").get_by_role("link", name="alice/reviews").click()
    expect(page.locator("article.card-body")).to_be_visible()
    page.get_by_role("link", name="Use this adapter").click()
    page.get_by_role("link", name="hf").click()
    expect(page.get_by_role("heading", name="hf")).to_be_visible()
    expect(page.locator("#use-page")).to_contain_text("hf download alice/reviews")
    page.get_by_role("link", name="Evaluation").click()
    expect(page.get_by_role("heading", name="What was proven")).to_be_visible()


def test_a_wide_table_of_a_card_scrolls_and_breaks_no_word(furnished_hub, visitor, tmp_path):
    heads = ["Checkpoint", "Validation accuracy", "Macro-averaged F1", "Calibration error", "Trainable parameters"]
    rows = [heads, ["---"] * len(heads), ["multilingual-instruct-v2", "0.914", "0.902", "0.031", "1,474,560"]]
    card = "# Tables\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
    (tmp_path / "README.md").write_text(card)
    Client("2.4.0", furnished_hub.url, TOKENS["alice"], tmp_path).hf("upload", "alice/tables", tmp_path / "README.md")
    page = visitor(furnished_hub.url, viewport={"width": 390, "height": 844}).go("/alice/tables")
    assert faults(page) == [], "the keyboard scrolls it too"
    table = page.locator(".card-body table")
    assert table.evaluate("table => table.scrollWidth > table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    broken = table.evaluate(
        """table => [...table.querySelectorAll('th, td')].flatMap((cell) => {
            const text = cell.firstChild, range = document.createRange();
            return [...text.data.matchAll(/[^\\s-]+/g)].filter((word) => {
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                return range.getClientRects().length > 1;
            }).map((word) => word[0]);
        })"""
    )
    assert broken == []
