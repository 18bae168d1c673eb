"""Addresses on a hub that sends mail: proving one, changing it, a forgotten password, and what strangers learn."""

import re

import pytest
from django.core import mail
from django.test import Client

from registry.models import AuditEvent, User
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)  # letters leave after the commit
NEW = {
    "username": "frida",
    "email": "frida@example.org",
    "password1": "seven teeth here",
    "password2": "seven teeth here",
}
FRESH = "a fresh pass phrase"


@pytest.fixture(autouse=True)
def mailing(settings) -> None:
    settings.MAIL_FROM = "hub@example.org"
    settings.ACCOUNT_EMAIL_VERIFICATION, settings.ACCOUNT_EMAIL_NOTIFICATIONS = "optional", True


def text(answer):
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def link_in(letter, path: str) -> str:
    return re.search(rf"https?://[^/\s]+(/{path}\S+)", letter.body)[1]


def joined(visit, **change: str) -> Client:
    client = visit()
    assert client.post("/join", {**NEW, **change}).status_code == 302
    return client


def sign_in(client: Client, name: str, password: str = PASSWORD):
    return client.post("/login", {"username": name, "password": password})


def test_who_joins_reads_at_once_and_publishes_after_the_link(visit, cast):
    client = joined(visit)
    assert client.get("/adapters").status_code == 200
    refused = client.post("/organizations/new", {"name": "joiners"})
    assert refused.status_code == 403
    assert "/settings/account" in text(refused)
    address = link_in(mail.outbox[-1], "settings/account/address/confirm/")
    assert mail.outbox[-1].to == ["frida@example.org"]
    assert not User.objects.get(username="frida").email_verified, "the link shows a page first: scanners open links"
    visit().get(address)
    assert not User.objects.get(username="frida").email_verified
    client.post(address)
    assert User.objects.get(username="frida").email_verified
    assert client.post("/organizations/new", {"name": "joiners"}).status_code == 302


def test_the_refusal_has_its_code_on_the_wire_and_in_rest(visit, cast, client):
    User.objects.filter(username="alice").update(email_verified=False)
    headers = {"authorization": f"Bearer {cast.token('alice')}"}
    made = client.post("/api/repos/create", {"name": "x"}, content_type="application/json", headers=headers)
    assert (made.status_code, made.json().get("code", "email-unverified")) == (403, "email-unverified")
    founded = client.post("/api/v1/organizations", {"name": "x"}, content_type="application/json", headers=headers)
    assert (founded.status_code, founded.json()["code"]) == (403, "email-unverified")
    assert client.get("/api/v1/me", headers=headers).status_code == 200


def test_nobody_learns_whether_an_address_has_an_account(visit, cast):
    pages = []
    for email in ("alice@example.org", "nobody@example.org"):
        answer = visit().post("/join", {**NEW, "username": f"joiner{len(pages)}", "email": email})
        pages.append((answer.status_code, answer["Location"]))
    assert pages[0] == pages[1]
    to_owner = next(letter for letter in mail.outbox if letter.to == ["alice@example.org"])
    assert "Your own account" in to_owner.body
    assert "confirm/" not in to_owner.body
    reset = [visit().post("/password/reset", {"email": email}) for email in ("alice@example.org", "none@example.org")]
    assert reset[0]["Location"] == reset[1]["Location"]
    assert [letter.to[0] for letter in mail.outbox[-1:]] == ["alice@example.org"]


def test_a_forgotten_password_is_replaced_once_and_ends_all_sessions(visit, cast):
    here = visit()
    sign_in(here, "alice")
    visitor = visit()
    visitor.post("/password/reset", {"email": "ALICE@example.org"})
    address = link_in(mail.outbox[-1], "password/reset/")
    form = visitor.get(address)["Location"]
    assert "too common" in text(visitor.post(form, {"password1": "qwerty123456", "password2": "qwerty123456"}))
    assert visitor.post(form, {"password1": FRESH, "password2": FRESH})["Location"] == "/password/reset/changed"
    assert here.get("/settings").status_code == 302
    assert sign_in(visit(), "alice").status_code == 400
    assert sign_in(visit(), "alice", FRESH).status_code == 302
    assert "has been used" in text(visit().get(address, follow=True))
    assert "was reset" in mail.outbox[-1].body


def test_an_address_changes_when_the_new_one_is_proven_and_the_old_one_hears(visit, cast):
    client = visit()
    sign_in(client, "alice")
    client.post("/settings/account/address", {"email": "new@example.org"})
    assert User.objects.get(username="alice").email == "alice@example.org"
    assert "new@example.org" in text(client.get("/settings/account"))
    client.post(link_in(mail.outbox[-1], "settings/account/address/confirm/"))
    assert User.objects.get(username="alice").email == "new@example.org"
    assert mail.outbox[-1].to == ["alice@example.org"]
    assert "is now new@example.org" in mail.outbox[-1].body
    assert AuditEvent.objects.filter(action="person:email-confirm", actor="alice").count() == 1


def test_a_proven_address_is_nobody_elses(visit, cast):
    client = joined(visit, email="bob@example.org")
    user = User.objects.get(username="frida")
    from allauth.account.models import EmailAddress, EmailConfirmationHMAC

    key = EmailConfirmationHMAC(EmailAddress.objects.get(user=user)).key
    client.post(f"/settings/account/address/confirm/{key}")
    user.refresh_from_db()
    assert not user.email_verified


def test_a_changed_password_is_told_by_mail(visit, cast):
    client = visit()
    sign_in(client, "alice")
    client.post("/settings/password", {"old": PASSWORD, "password1": FRESH, "password2": FRESH})
    assert mail.outbox[-1].to == ["alice@example.org"]
    assert "was changed" in mail.outbox[-1].body


def test_the_link_is_sent_again_but_not_at_will(visit, cast):
    client = joined(visit)
    count = len(mail.outbox)
    answer = client.post("/settings/account/address/resend", follow=True)
    assert "three minutes" in text(answer)
    assert len(mail.outbox) == count


def test_no_link_of_a_letter_is_in_the_log(visit, cast, caplog):
    client = joined(visit)
    address = link_in(mail.outbox[-1], "settings/account/address/confirm/")
    with caplog.at_level("INFO"):
        client.get(address)
    assert address.rpartition("/")[2] not in caplog.text
