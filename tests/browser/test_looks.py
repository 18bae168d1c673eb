"""Every page in light and dark, wide and narrow: readable by everybody, within the screen, usable by keyboard."""

import json
import re
from urllib.parse import urlsplit

import pytest
from django.urls import resolve
from playwright.sync_api import expect

from hub.site import urls
from tests.browser import test_accounts, test_moderation, test_notifications, test_people, test_record, test_teams
from tests.browser.conftest import REVIEWS, derived_revision, state
from tests.browser.looks import HEIGHT, faults, look
from tests.clients import Client
from tests.live import TOKENS, wait_until
from tests.registry.test_routes import plain, routes, rows

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
    "/alice/reviews/try", "/simple/", "/alice/reviews/security", "/simple/dovetail-hub/", "/datasets", "/spaces",
    "/status", "/compare", "/compare?ids=alice/reviews,alice/spoilt", "/bases/-/fit", "/collections",
    "/collections/alice/{collection}", "/alice/reviews/releases", "/alice/reviews/releases/v1.0.0",
    "/alice/reviews/tree/nope", "/alice/reviews/blob/main/nope.txt", "/password/reset/changed",
    "/adapters?task=text-classification&view=scatter", "/alice/reviews/commit/{derived}",
    "/compare?ids=alice/reviews,alice/reviews@{derived}", "/alice/reviews/compare/{derived}...main",
]  # fmt: skip
LOST = {"/nothing/here", "/simple/", "/simple/dovetail-hub/"}
OWN = [
    "/",
    "/new?kind=dataset",
    "/alice/reviews/settings",
    "/alice/spoilt/settings",
    "/alice/spoilt/fix/main",
    "/alice/misranked/fix/main",
    "/alice/misranked/tree/main/notes",
    "/upload",
    "/alice/reviews/upload/main",
    "/alice/reviews/commits/main?revision=main",
    "/alice/reviews/releases/v1.0.0/edit",
    "/settings/webhooks/{webhook}",
    "/organizations/acme/settings/usage",
    "/organizations/acme/settings/robots/looked-at",
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
ADMINISTRATORS = ["/", "/moderation/overview", "/moderation/directory", "/moderation/quotas", "/moderation/reporters"]
# More rows for these pages; it prints the parts of their addresses that are not known before.
FURNISH = """
import json
from datetime import timedelta
from django.utils import timezone
from features.collections import verbs as collections
from features.discussions import verbs as discussions
from features.releases import verbs as releases
from features.robots import verbs as robots
from features.webhooks import verbs as webhooks
from registry.kernel.policy import Caller
from registry.models import Repository, User
from registry.repos import refs
alice = Caller(user=User.objects.get(username="alice"))
reviews = Repository.objects.get(name="reviews", namespace__name="alice")
newest = reviews.refs.get(name=refs.MAIN).revision
releases.create(reviews, "v1.0.0", newest, alice, title="The first", notes="With **notes**.")
collection = collections.create("alice", "Adapters to look at", alice, description="Of *all* kinds.")
collections.add(collection, "model", "alice/reviews", alice, note="It passed.")
collections.add(collection, "model", "alice/spoilt", alice, note="It did not.")
robots.create_robot("acme", "looked-at", alice, purpose="Pushes at night")
robots.create_token("acme", "looked-at", "ci", {"acme/private": "write"}, timezone.now() + timedelta(days=30), alice)
hook = webhooks.create(webhooks.Wish("https://example.org/hook", [("user", "alice")], webhooks.DOMAINS), alice)
print(json.dumps({"collection": collection.slug_part, "webhook": hook.pk}))
"""
# Routes that answer a GET and are in no table, by the reason.
NO_PAGES = {
    "a file, a feed or a picture": """robots.txt favicon.ico sitemap.xml feeds/sitemap-<number>.xml feeds/new.atom
        feeds/adapters.atom feeds/datasets.atom feeds/spaces.atom <ns>/<name>/feed.atom <ns>/<name>/versions.atom
        .well-known/security.txt <ns>/<name>/releases.atom <ns>/<name>/share.png
        avatars/<name>.svg avatars/<name>.webp""",
    "the tables as Django shows them": "admin/",
    "a part of other pages": "search/suggestions dashboard/running",
    "leads to another page": """stats leaderboards leaderboards/<task> settings/repositories login/passkey
        settings/security/confirm/passkey settings/security/confirm/provider login/with/<provider>/callback""",
    "needs a secret: the test that has it looks at the page": """login/once/<key> login/second-factor
        password/reset/<uidb36>-<key> unsubscribe/<signed> settings/account/address/confirm/<key>
        settings/security/app/remove settings/security/passkeys/<pk>/remove settings/security/passkeys/<pk>/rename""",
}


@pytest.fixture(scope="module")
def looked_hub(furnished_hub, tmp_path_factory):
    """The furnished hub with all that FURNISH makes, and an adapter that can be repaired; with parts of addresses."""
    home = tmp_path_factory.mktemp("looked")
    config = (REVIEWS / "adapter_config.json").read_text().replace('"r": 8', '"r": 16')
    (home / "adapter_config.json").write_text(config)
    alice = Client("2.4.0", furnished_hub.url, TOKENS["alice"], home / "home")
    alice.hf("upload", "alice/misranked", REVIEWS, "--exclude", "adapter_config.json")
    alice.hf("upload", "alice/misranked", home / "adapter_config.json", "adapter_config.json")
    alice.hf("upload", "alice/misranked", REVIEWS / "smoke.jsonl", "notes/of-a-long-run/smoke.jsonl")
    wait_until(lambda: state(furnished_hub, "misranked") == "failed", furnished_hub)
    made = json.loads(furnished_hub.manage("shell", "-c", FURNISH).splitlines()[-1])
    return furnished_hub, made | {"derived": derived_revision(furnished_hub)}


def wrong_on(pages) -> dict[str, list[str]]:
    """Return what is wrong with each of these (name, page), which are opened one after the other."""
    return {name: found for name, page in pages if (found := look(page))}


def uploading(one, folder):
    """Upload an adapter without its weights, with a rank that fails, to see all that the pages may say."""
    config = folder / "adapter_config.json"
    config.write_text((REVIEWS / config.name).read_text().replace('"r": 8', '"r": 0'))
    page = one.go("/alice/reviews/upload/main")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a folder, files, or a zip first.")
    page.locator('input[type="file"]').set_input_files([config, REVIEWS / "README.md"])
    yield "chosen files", page
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("button", name="Commit anyway")).to_be_visible()
    yield "files before their commit", page


def typed(one):
    """Type into the search field, and into the form of the bases."""
    one.page.set_viewport_size({"width": 1280, "height": HEIGHT})
    page = one.go("/")
    page.keyboard.press("/")
    page.keyboard.type("rev")
    expect(page.get_by_role("option", name="alice/reviews")).to_be_visible()
    yield "suggestions", page
    page = one.go("/bases/-/fit")
    page.locator('input[type="file"]').set_input_files(REVIEWS / "adapter_config.json")
    page.get_by_role("button", name="Does it fit?").click()
    page.get_by_role("main").get_by_role("link", name="all-MiniLM-L6-v2").first.wait_for()
    yield "bases that fit", page


def opened(one):
    """Open what pages keep closed."""
    page = one.page
    for width in (1280, 390):  # in the head of the page, and in a bar over it
        page.set_viewport_size({"width": width, "height": HEIGHT})
        one.go("/").keyboard.press("Control+k")
        expect(page.get_by_role("option", name="Access tokens")).to_be_visible()
        yield f"palette, opened at {width} px", page
    page = one.go("/alice/reviews/commits/main")
    page.locator("[data-list]").get_by_label("More about").first.click()
    yield "menu of a version", page
    page.get_by_text("Branches and tags").click()
    page.get_by_text("Set or move an alias").click()
    yield "names of versions", page
    page = one.go("/alice/reviews")
    page.get_by_role("link", name="Use this adapter").click()
    page.get_by_role("dialog").get_by_role("link", name="vLLM", exact=True).click()
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


def test_every_public_page_is_readable_and_fits(looked_hub, visitor):
    hub, made = looked_hub
    one = visitor(hub.url)
    assert wrong_on((address, one.go(address.format(**made))) for address in PUBLIC) == {}
    assert wrong_on(typed(one)) == {}


def test_every_page_of_who_is_signed_in_is_readable_and_fits(looked_hub, visitor, tmp_path):
    hub, made = looked_hub
    one, ada = visitor(hub.url), visitor(hub.url)
    one.sign_in("alice")
    assert wrong_on((address, one.go(address.format(**made))) for address in OWN) == {}
    assert wrong_on(opened(one)) == {}
    assert wrong_on(uploading(one, tmp_path)) == {}
    ada.sign_in("ada")
    assert wrong_on((address, ada.go(address)) for address in ADMINISTRATORS) == {}


def test_no_page_of_the_site_is_left_out():
    tables = [
        PUBLIC,
        OWN,
        ADMINISTRATORS,
        test_accounts.SIGNED_OUT,
        test_accounts.PAGES,
        test_moderation.PAGES,
        test_moderation.OWN,
    ]
    tables += [test_notifications.PAGES, test_people.PAGES, test_record.STAFF, test_record.OWNERS, test_record.PUBLIC]
    tables += [test_teams.PAGES]
    paths = {urlsplit(re.sub(r"{\w+}", "1", address)).path for table in tables for address in table} - LOST
    looked_at = {plain(resolve(path).route.replace("<repository:address>", "<ns>/<name>")) for path in paths}
    pages = {address for address, method, _, type in rows() if method == "GET" and type == "model"}
    pages &= set(routes(urls.urlpatterns))
    reasons = set(" ".join(NO_PAGES.values()).split())
    assert pages - looked_at - reasons == set(), "add a row to a table"
    assert reasons - (pages - looked_at) == set(), "take it out of NO_PAGES"


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
