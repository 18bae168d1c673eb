"""Signing in by a real identity provider in a real browser, and what a change of groups there does."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import live
from tests.identity_provider import CLIENT_ID, CLIENT_SECRET, RealProvider, real_provider
from tests.live import Hub
from tests.services import free_ports

pytestmark = pytest.mark.merge

ZOE = {"preferred_username": "zoe", "name": "Zoe Live", "email": "zoe@corp.example", "email_verified": True}


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, RealProvider]]:
    """A hub that takes no passwords, and the provider by which people sign in there."""
    [port] = free_ports()
    with real_provider(f"http://127.0.0.1:{port}/login/with/corp/callback") as provider:
        chosen = {
            "OIDC_CORP_ISSUER": provider.url,
            "OIDC_CORP_CLIENT_ID": CLIENT_ID,
            "OIDC_CORP_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_CORP_GROUPS": "engineers=acme:write,guests=acme:read",
            "OIDC_CORP_DOMAINS": "corp.example",
            "PASSWORD_SIGN_IN": "off",
        }
        with live.hub(tmp_path_factory.mktemp("corp") / "data", port=port, **chosen) as hub:
            yield hub, provider


def sign_in(page: Page, hub: Hub, *, first: bool) -> None:
    """Go from the hub's button through the provider's pages and back."""
    page.goto(f"{hub.url}/login?next=/settings/organizations")
    page.get_by_role("button", name="Sign in with Corp").click()
    if first:
        page.get_by_placeholder("Enter any login").fill("zoe")
        page.get_by_placeholder("and password").fill("anything")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(f"{hub.url}/settings/organizations")


def test_a_person_signs_in_by_the_provider_and_groups_decide(corp, chromium):
    hub, provider = corp
    provider.set_people({"zoe": {**ZOE, "groups": ["engineers"]}})
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{hub.url}/login")
    expect(page.get_by_label("Password")).to_have_count(0)
    sign_in(page, hub, first=True)
    expect(page.get_by_role("main")).to_contain_text("write")
    page.goto(f"{hub.url}/settings/security")
    expect(page.get_by_text("zoe@corp.example")).to_be_visible()
    for groups, role in ((["guests"], "read"), ([], None)):
        provider.set_people({"zoe": {**ZOE, "groups": groups}})
        context.clear_cookies(name=re.compile("dovetail"))  # the hub's session ends, that of the provider does not
        sign_in(page, hub, first=False)
        main = page.get_by_role("main")
        if role:
            expect(main).to_contain_text(role)
        else:
            expect(main).not_to_contain_text("acme")
    context.close()


def test_who_signs_out_at_the_provider_is_signed_out_here(corp, chromium):
    hub, provider = corp
    provider.set_people({"zoe": {**ZOE, "groups": ["engineers"]}})
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, hub, first=True)
    page.goto(f"{provider.url}/session/end")
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_text("Sign-out Success")).to_be_visible()
    page.goto(f"{hub.url}/settings/profile")
    expect(page).to_have_url(re.compile("/login"))
    context.close()


def test_somebody_who_gives_up_at_the_provider_comes_back(corp, chromium):
    hub, provider = corp
    provider.set_people({"zoe": ZOE})
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{hub.url}/login")
    page.get_by_role("button", name="Sign in with Corp").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(f"{hub.url}/login")
    expect(page.get_by_text("failed or was cancelled")).to_be_visible()
    context.close()
