"""Every address comes from a route's name, so that the whole hub can be mounted below a path."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, set_script_prefix

from hub.site import urls
from tests.cast import Cast
from tests.sweep import sweep

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted([*ROOT.glob("templates/**/*.html"), *ROOT.glob("features/*/templates/**/*.html")])
HARD_WIRED = re.compile(r"""(?:href|action|formaction|src|hx-[a-z]+)=["']/""")
FAILED = [{"id": "load.error", "outcome": "failed", "message": "KeyError: 'lora_A'", "fix": "Save it again."}]
FOLLOWED = ("href", "action", "src", "hx-get")


class Links(HTMLParser):
    """The addresses that a page names: those a browser gets, and those of forms that are posted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.get: set[str] = set()
        self.post: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        for name in FOLLOWED:
            if address := fields.get(name):
                is_post = tag == "form" and (fields.get("method") or "").lower() == "post"
                (self.post if is_post else self.get).add(address)


def routes(patterns) -> list[URLPattern]:
    found = []
    for pattern in patterns:
        if not isinstance(pattern, URLResolver):
            found.append(pattern)
        elif pattern.app_name != "admin":  # Django's own, in a namespace
            found += routes(pattern.url_patterns)
    return found


def test_every_route_of_the_website_has_a_name():
    assert [str(route.pattern) for route in routes(urls.urlpatterns) if not route.name] == []


def test_no_two_routes_share_a_name_unless_one_goes_deeper():
    names: dict[str, list[str]] = {}
    for route in routes(get_resolver().url_patterns):
        # The protocols have namespaces; the Hub and Xet name a route once for all types.
        if route.name and not re.search(r"^hub\.(hf|xet)\.|^features\.\w+\.wire", str(route.lookup_str)):
            names.setdefault(route.name, []).append(str(route.pattern))
    shared = {name: patterns for name, patterns in names.items() if len(set(patterns)) > 1}
    assert set(shared) == {"tree"}  # with a folder and without


@sweep("file", TEMPLATES)
def test_no_template_names_an_address_by_its_path(file):
    assert HARD_WIRED.findall(file.read_text()) == []


@sweep("file", sorted([*ROOT.glob("hub/site/**/*.py"), *ROOT.glob("features/*/pages.py")]))
def test_no_view_redirects_to_an_address_by_its_path(file):
    assert re.findall(r"""Redirect\(f?["']/|redirect\(f?["']/|return f?["']/[a-z{]""", file.read_text()) == []


@pytest.fixture
def mounted(settings):
    """The hub below /hub, as a proxy has it that takes this prefix off."""
    settings.FORCE_SCRIPT_NAME = "/hub"
    settings.STATIC_URL = "static/"
    settings.STORAGES = {**settings.STORAGES}  # which forgets the address that it was made with
    set_script_prefix("/hub/")
    yield "/hub"
    set_script_prefix("/")


def broken_links(client: Client, starts: Iterable[str], prefix: str = "") -> tuple[list[str], set[str]]:
    """Follow every link from these addresses on; return what leads nowhere or leaves the prefix, and what was read."""
    seen: set[str] = set()
    waiting, wrong = set(starts), []
    while waiting:
        address = waiting.pop()
        seen.add(address)
        parts = urlsplit(address)
        if parts.path.startswith(f"{prefix}/static/"):
            if not finders.find(parts.path.removeprefix(f"{prefix}/static/")):
                wrong.append(f"no file {address}")
            continue
        answer = client.get(parts.path.removeprefix(prefix) or "/", QUERY_STRING=parts.query)
        if answer.status_code not in (200, 204, 302, 307):
            wrong.append(f"{answer.status_code} {address}")
        if "Location" in answer and not urlsplit(answer["Location"]).netloc:
            waiting |= {urljoin(address, answer["Location"])} - seen
        if not answer.get("Content-Type", "").startswith("text/html") or "/admin/" in address:
            continue
        links = Links(answer.content.decode())
        for target in links.get | links.post:
            whole = urljoin(address, target).partition("#")[0]
            if not whole.startswith((f"{prefix}/", "data:")) and not urlsplit(whole).netloc:
                wrong.append(f"{target} on {address} leaves {prefix}")
        on = {urljoin(address, target).partition("#")[0] for target in links.get}
        waiting |= {target for target in on if target.startswith(f"{prefix}/") and "?" not in target} - seen
    return wrong, seen


@pytest.mark.merge
def test_every_link_form_and_file_is_below_the_prefix_and_leads_somewhere(mounted, visit, reviews, secret, cast: Cast):
    cast.repository("alice/gold", type="dataset")
    wrong, seen = broken_links(visit("alice"), [f"{mounted}/", f"{mounted}/alice/reviews"], mounted)
    assert wrong == []
    assert len(seen) > 60


def test_redirects_and_refusals_stay_below_the_prefix(mounted, visit, reviews, cast):
    assert visit().get("/settings/tokens")["Location"] == "/hub/login?next=%2Fhub%2Fsettings%2Ftokens"
    signed_in = visit().post("/login", {"username": "alice", "password": "correct horse battery", "next": "//evil"})
    assert signed_in.status_code == 400 or signed_in["Location"] == "/hub/"
    assert visit("alice").post("/alice/reviews/settings/archive")["Location"] == "/hub/alice/reviews/settings"
    assert visit().get("/ALICE/Reviews")["Location"] == "/hub/alice/reviews"
    assert visit().get("/ALICE")["Location"] == "/hub/alice"
    answer = visit().get("/api/v1/adapters?limit=1")
    assert answer.status_code == 200
    page = visit("alice").get("/settings/tokens").content.decode()
    assert 'href="/hub/static/css/dovetail' in page
