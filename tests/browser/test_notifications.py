"""Watch an adapter in a browser, push it, and be notified: by the bell, by e-mail, and no more after one click."""

import re
import urllib.parse
import urllib.request

import pytest
from playwright.sync_api import expect

from tests import live
from tests.browser.conftest import REVIEWS, state
from tests.browser.looks import look
from tests.clients import Client
from tests.live import TOKENS, wait_until
from tests.mail_server import mail_server

pytestmark = pytest.mark.merge

PAGES = ["/settings/notifications", "/settings/notifications/choices", "/alice/reviews"]

# Lets the time pass that e-mails wait, in the database of the hub, and sends them as the worker's task does.
SEND = """
from datetime import timedelta
from django.utils import timezone
from features.notify.models import Alert
from features.notify import mail; from registry.talk import dispatch
dispatch.run()
Alert.objects.update(created_at=timezone.now() - timedelta(days=1))
Alert.objects.exclude(mailed_at=None).update(mailed_at=timezone.now() - timedelta(days=1))
print(mail.send_due())
"""


@pytest.fixture(scope="module")
def mailing_hub(tmp_path_factory):
    """A hub with a worker that sends e-mails to a mail server, and the mailbox of that server."""
    with mail_server() as (mailbox, port):
        folder = tmp_path_factory.mktemp("mailing")
        told = {"SMTP_URL": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "dovetail@example.org"}
        with live.hub(folder, worker=True, **told) as running:
            yield running, mailbox


def test_who_watches_is_notified_by_bell_and_mail_until_they_unsubscribe_by_one_click(mailing_hub, visitor, tmp_path):
    hub, mailbox = mailing_hub
    alice = Client("2.4.0", hub.url, TOKENS["alice"], tmp_path)
    alice.hf("repos", "create", "alice/reviews")
    carol = visitor(hub.url)
    carol.sign_in("carol")
    page = carol.go("/settings/notifications/choices")
    page.get_by_label("Watched adapters").select_option("E-mail at once")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Watched adapters")).to_have_value("mail")
    page = carol.go("/alice/reviews")
    page.locator("summary", has_text="Watch").click()
    page.get_by_role("button", name="Everything").click()
    expect(page.locator("summary", has_text="Watching")).to_be_visible()

    alice.hf("upload", "alice/reviews", REVIEWS)
    wait_until(lambda: state(hub, "reviews") == "passed", hub)
    verified = ".alerts li:has-text('alice/reviews has a new verified version')"
    page = carol.go_until("/settings/notifications", lambda page: page.locator(verified))
    page = carol.go("/adapters")
    page.get_by_role("link", name=re.compile("Notifications, .* not read")).click()
    expect(page.locator(".alerts")).to_contain_text("alice/reviews has a new verified version")
    expect(page.locator(".alerts")).to_contain_text("alice pushed")

    assert int(hub.manage("shell", "-c", SEND).split()[-1]) >= 1
    [letter] = mailbox.to("carol@example.org")
    body = letter.get_body(("plain",)).get_content()
    assert "has a new verified version" in body
    assert "You watch alice/reviews." in body
    assert letter.get_body(("html",)).get_content_type() == "text/html"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = letter["List-Unsubscribe"].strip().removeprefix("<").removesuffix(">")

    guest = visitor(hub.url)
    page = guest.go(link.removeprefix(hub.url))
    expect(page.get_by_role("heading", name="Stop these e-mails?")).to_be_visible()
    assert look(page) == []
    one_click = urllib.parse.urlencode({"List-Unsubscribe": "One-Click"}).encode()
    with urllib.request.urlopen(urllib.request.Request(link, one_click), timeout=60) as answer:
        assert answer.status == 200
    page = carol.go("/settings/notifications/choices")
    expect(page.get_by_label("Watched adapters")).to_have_value("site")
    (tmp_path / "notes.md").write_text("# Notes\n")
    alice.hf("upload", "alice/reviews", tmp_path / "notes.md", "notes.md")
    hub.manage("shell", "-c", SEND)
    assert len(mailbox.to("carol@example.org")) == 1
    page = carol.go("/settings/notifications")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("link", name="Notifications", exact=True).first).to_be_visible()


def test_the_pages_of_notifications_are_readable_and_fit(mailing_hub, visitor):
    hub, _ = mailing_hub
    one = visitor(hub.url)
    one.sign_in("carol")
    wrong = {}
    for address in PAGES:
        page = one.go(address)
        if address == "/alice/reviews":
            page.locator("summary", has_text="Watch").click()
        if found := look(page):
            wrong[address] = found
    assert wrong == {}
