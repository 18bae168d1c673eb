"""Second factors and proving again who one is, on the website."""

import json
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.management import CommandError, call_command
from django.test import Client

from hub.site.sign_in.allauth_adapters import AddPasskey
from registry.models import AuditEvent
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)  # allauth writes letters and the log after the commit


def text(answer):
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def sign_in(client: Client, name: str = "alice", **more: str):
    return client.post("/login", {"username": name, "password": PASSWORD, **more})


def code_of(secret: str, ahead: int = 0) -> str:
    """Return the code that an authenticator app shows; `ahead` is a number of half minutes."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))


def set_up_app(client: Client) -> tuple[str, list[str]]:
    """Set up an authenticator app; return its secret and the recovery codes."""
    secret = re.search(r'id="totp-secret"[^>]*>(\w+)<', client.get("/settings/security/app").content.decode())[1]
    made = client.post("/settings/security/app", {"code": code_of(secret, -1)}, follow=True)
    return secret, re.findall(r"^(\d{8})$", re.search(r"<pre[^>]*>(.*?)</pre>", made.content.decode(), re.S)[1], re.M)


@pytest.fixture
def alice(visit, cast) -> Client:
    """The browser of alice, who has just signed in."""
    client = visit()
    assert sign_in(client).status_code == 302
    return client


def test_an_app_is_asked_for_after_the_password(alice, visit):
    secret, codes = set_up_app(alice)
    assert len(codes) == 10
    other = visit()
    answer = sign_in(other, next="/settings/tokens")
    assert answer["Location"] == "/login/second-factor"
    assert other.get("/settings/tokens")["Location"].startswith("/login"), "the password alone opens nothing"
    assert "Incorrect" in text(other.post("/login/second-factor", {"code": "000000"}))
    done = other.post("/login/second-factor", {"code": code_of(secret)})
    assert done["Location"] == "/settings/tokens"
    assert other.get("/settings/tokens").status_code == 200
    again = visit()
    sign_in(again)
    assert again.post("/login/second-factor", {"code": code_of(secret)}).status_code == 200, "a code works once"


def test_a_recovery_code_signs_in_once(alice, visit):
    _, codes = set_up_app(alice)
    for wanted in (302, 200):
        client = visit()
        sign_in(client)
        assert client.post("/login/second-factor", {"code": codes[0]}).status_code == wanted
    page = text(alice.get("/settings/security"))
    assert "9 left" in page
    assert codes[1] not in text(alice.get("/settings/security/recovery-codes")), "they are shown once"


def test_the_operator_lets_a_person_in_who_lost_everything(alice, visit, capsys):
    set_up_app(alice)
    call_command("remove_second_factors", "alice")
    assert capsys.readouterr().out == "alice: 2 removed\n"
    assert sign_in(visit())["Location"] == "/"
    assert AuditEvent.objects.get(action="account:factors-remove").before == ["recovery_codes", "totp"]
    with pytest.raises(CommandError, match="no person"):
        call_command("remove_second_factors", "nobody")


def test_secrets_of_second_factors_are_encrypted_and_outlive_a_new_key(alice, visit, settings):
    secret, _ = set_up_app(alice)
    assert secret not in str(list(Authenticator.objects.values_list("data", flat=True)))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key-" * 6, [settings.SECRET_KEY]
    client = visit()
    sign_in(client)
    assert client.post("/login/second-factor", {"code": code_of(secret)}).status_code == 302


def test_who_has_not_lately_proved_it_is_asked_again(visit, cast):
    client = visit("alice")  # a session that Django began: nothing is known of how
    answer = client.get("/settings/security/app")
    assert answer["Location"] == "/settings/security/confirm?next=%2Fsettings%2Fsecurity%2Fapp"
    wrong = client.post("/settings/security/confirm", {"password": "nonsense", "next": "/settings/security/app"})
    assert wrong.status_code == 200
    right = client.post("/settings/security/confirm", {"password": PASSWORD, "next": "/settings/security/app"})
    assert right["Location"] == "/settings/security/app"
    assert client.get("/settings/security/app").status_code == 200


def test_a_form_that_comes_too_late_is_said_to_be_lost(visit, cast):
    client = visit("alice")
    referer = "http://testserver/settings/account"
    answer = client.post("/settings/account/address", {"email": "new@example.org"}, headers={"referer": referer})
    assert answer["Location"] == "/settings/security/confirm?next=%2Fsettings%2Faccount"
    assert "Nothing has changed yet" in text(client.get(answer["Location"]))
    foreign = client.post("/settings/account/address", {"email": "x"}, headers={"referer": "https://evil.example/x"})
    assert foreign["Location"].endswith("next=%2Fsettings")


def test_sessions_are_listed_and_ended(alice, visit):
    other = visit("anonymous", headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"})
    sign_in(other)
    page = alice.get("/settings/security").content.decode()
    assert "Firefox on Linux" in page
    assert "this one" in page
    number = re.search(r"/sessions/(\d+)/end", page)[1]
    visit("bob").post(f"/settings/security/sessions/{number}/end")
    assert other.get("/settings/profile").status_code == 200, "a stranger ends nobody's session"
    alice.post(f"/settings/security/sessions/{number}/end")
    assert other.get("/settings/profile").status_code == 302
    third = visit()
    sign_in(third)
    alice.post("/settings/security/sessions/end-others")
    assert third.get("/settings/profile").status_code == 302
    assert alice.get("/settings/profile").status_code == 200


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
def test_the_answer_of_a_passkey_that_cannot_be_stored_is_refused(cast, odd):
    form = AddPasskey({"name": "key", "credential": json.dumps({"id": odd})}, user=cast["alice"])
    assert form.errors["credential"] == ["The passkey's answer could not be read. Try again."]
