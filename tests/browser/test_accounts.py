"""Accounts in a browser: a passkey, an authenticator app without JavaScript, a letter with a link, pages to look at."""

import re
import socketserver
import threading
import time
from typing import ClassVar

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import expect

from tests import live
from tests.browser.looks import look
from tests.live import PASSWORD, wait_until

pytestmark = pytest.mark.merge

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
SIGNED_OUT = ["/password/reset", "/password/reset/sent", "/login"]
PAGES = [
    "/settings", "/settings/profile", "/settings/account", "/settings/security", "/settings/security/app",
    "/settings/security/passkeys/add", "/settings/security/recovery-codes", "/settings/security/recovery-codes/new",
    "/settings/security/confirm", "/settings/security/confirm/code", "/settings/invitations",
    "/moderation/overview", "/moderation/site",
]  # fmt: skip


class Letterbox(socketserver.StreamRequestHandler):
    """A mail server that takes every letter and keeps its text."""

    letters: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline().strip():
            word = line[:4].upper()
            self.wfile.write({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))
            if word == b"DATA":
                text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                self.letters.append(text.replace("=\r\n", "").replace("=3D", "="))
                self.wfile.write(b"250 taken\r\n")


@pytest.fixture(scope="module")
def mailing_hub(tmp_path_factory):
    """A hub that sends its letters to a mail server of ours, reached as localhost: there passkeys need no TLS."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Letterbox) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mail = {"SMTP_URL": f"smtp://127.0.0.1:{server.server_address[1]}", "MAIL_FROM": "hub@example.org"}
        with live.hub(tmp_path_factory.mktemp("mailing") / "data", **mail) as hub:
            hub.url = hub.url.replace("127.0.0.1", "localhost")
            yield hub
        server.shutdown()


def letter_to(address: str, hub) -> str:
    """Return the newest letter to an address, waiting for it."""

    def newest() -> str:
        return next((letter for letter in reversed(Letterbox.letters) if f"To: {address}" in letter), "")

    wait_until(newest, hub)
    return newest()


def code_of(secret: str, ahead: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))


@pytest.mark.browser
def test_a_passkey_signs_in_alone_and_as_the_second_factor(mailing_hub, visitor):
    one = visitor(mailing_hub.url)
    devices = one.context.new_cdp_session(one.page)
    devices.send("WebAuthn.enable")
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]
    page = one.sign_in("bob")
    page = one.go("/settings/security")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("textbox", name="Name").fill("Laptop")
    page.get_by_label("Sign in with it alone").check()
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("heading", name="Your codes")).to_be_visible()
    assert len(re.findall(r"^\d{8}$", page.locator("#recovery-codes").inner_text(), re.M)) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert len(download.value.path().read_text().split()) == 10
    assert len(devices.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1
    assert "A passkey was added" in letter_to("bob@example.org", mailing_hub)

    one.context.clear_cookies()
    page = one.go("/login?next=/settings/tokens")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/settings/tokens")
    expect(page.get_by_text("bob", exact=True).first).to_be_attached()

    one.context.clear_cookies()
    page = one.go("/login")
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/login/second-factor")
    assert look(page) == []
    page.get_by_role("button", name="Use passkey").click()
    page.get_by_role("link", name="Upload").first.wait_for()

    page = one.go("/settings/security")
    page.get_by_role("link", name="Rename").click()
    page.get_by_role("textbox", name="Name").wait_for()
    assert look(page) == []
    page = one.go("/settings/security")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove passkey").wait_for()
    assert look(page) == []
    page.get_by_role("button", name="Remove passkey").click()
    page.wait_for_url("**/settings/security")
    expect(page.get_by_text("Passkey removed.")).to_be_visible()
    assert "was removed" in letter_to("bob@example.org", mailing_hub)


@pytest.mark.browser
def test_an_app_and_its_recovery_codes_work_without_javascript(mailing_hub, visitor):
    one = visitor(mailing_hub.url, java_script_enabled=False)
    page = one.sign_in("carol")
    page = one.go("/settings/security")
    page.get_by_role("link", name="Set up an app").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Code").fill(code_of(secret, -1))
    page.get_by_role("button", name="Set up").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    for code in (code_of(secret), codes[3]):
        page = one.go("/settings/security")
        page.get_by_role("group").locator("summary").first.click()
        page.get_by_role("button", name="Sign out", exact=True).first.click()
        page = one.go("/login")
        page.get_by_label("User name").fill("carol")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("link", name="Upload").first.wait_for()
    one.go("/settings/security")
    expect(page.get_by_text("9 left")).to_be_visible()
    seeing = visitor(mailing_hub.url)
    seeing.context.add_cookies(one.context.cookies())
    assert look(seeing.go("/settings/security/app/remove")) == []


@pytest.mark.browser
def test_a_forgotten_password_is_replaced_by_the_link_of_a_letter(mailing_hub, visitor):
    one = visitor(mailing_hub.url)
    page = one.go("/login")
    page.get_by_role("link", name="Forgotten password").click()
    page.get_by_label("E-mail").fill("erin@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Check your mailbox")).to_be_visible()
    link = re.search(r"http://\S+?(/password/reset/\S+)", letter_to("erin@example.org", mailing_hub))[1]
    page = one.go(link)
    assert look(page) == []
    page.get_by_label("New password", exact=True).fill("a fresh pass phrase")
    page.get_by_label("Repeat the new password").fill("a fresh pass phrase")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    one.sign_in("erin", "a fresh pass phrase")
    assert link.rpartition("-")[2] not in mailing_hub.log("web")


@pytest.mark.browser
def test_the_pages_of_an_account_are_readable_and_fit(mailing_hub, visitor):
    one = visitor(mailing_hub.url)
    wrong = {}
    for number, address in enumerate([*SIGNED_OUT, *PAGES]):
        if number == len(SIGNED_OUT):
            one.sign_in("ada")
        if found := look(one.go(address)):
            wrong[address] = found
    page = one.go("/settings/account")
    page.get_by_role("textbox", name="E-mail").fill("lovelace@example.org")
    page.get_by_role("button", name="Change address").click()
    letter = letter_to("lovelace@example.org", mailing_hub)
    link = re.search(r"http://\S+?(/settings/account/address/confirm/\S+)", letter)
    wrong["a confirmed address"] = look(one.go(link[1]))
    ticket = mailing_hub.manage("sign_in_link", "ada").strip().rpartition("/")[2]
    wrong["a link that signs in once"] = look(visitor(mailing_hub.url).go(f"/login/once/{ticket}"))
    assert {address: found for address, found in wrong.items() if found} == {}
