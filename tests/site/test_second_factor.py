"""Second factors and proving again who one is, on the website."""

import json
import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub.site.sign_in import sessions
from hub.site.sign_in.allauth_adapters import AddPasskey
from registry.kernel import site_settings
from registry.models import AuditEvent, Token
from tests.cast import PASSWORD, signed_in

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


def stale(cast, name: str = "alice") -> Client:
    """Return a browser whose session Django began: nothing is known of how."""
    client = Client()
    client.force_login(cast[name])
    return client


def test_who_has_not_lately_proved_it_is_asked_again(cast):
    client = stale(cast)
    answer = client.get("/settings/security/app")
    assert answer["Location"] == "/settings/security/confirm?next=%2Fsettings%2Fsecurity%2Fapp"
    wrong = client.post("/settings/security/confirm", {"password": "nonsense", "next": "/settings/security/app"})
    assert wrong.status_code == 200
    right = client.post("/settings/security/confirm", {"password": PASSWORD, "next": "/settings/security/app"})
    assert right["Location"] == "/settings/security/app"
    assert client.get("/settings/security/app").status_code == 200


def confirm(client: Client, asked) -> str:
    """Give the password where the answer asks for it; return the address that leads back."""
    address, _, query = asked["Location"].partition("?")
    assert address == "/settings/security/confirm"
    back = parse_qs(query)["next"][0]
    assert client.post(address, {"password": PASSWORD, "next": back})["Location"] == back
    return back


TOKEN = {"name": "laptop ü&=\n", "role": "write"}


def test_a_form_waits_for_the_proof_and_is_sent_once(cast):
    client = stale(cast)
    back = confirm(client, client.post("/settings/tokens?welcome=1", TOKEN))
    made = client.get(back)
    assert re.search(r"dvt_\w{32}", made.content.decode()), "the person lands where the form leads to"
    assert cast["alice"].tokens.get().name == "laptop ü&="
    again = client.get(back)
    assert again["Location"] == "/settings/tokens", "reloading sends nothing"
    assert cast["alice"].tokens.count() == 1


def test_a_form_below_a_page_waits_too_and_its_errors_are_shown(cast):
    client = stale(cast)
    back = confirm(client, client.post("/organizations/acme/settings/invite", {"username": "nobody", "role": "read"}))
    refused = client.get(back)
    assert refused.status_code == 404
    assert 'value="nobody"' in refused.content.decode()
    sent = client.post("/organizations/acme/settings/invite", {"username": "carol", "role": "read"})
    assert sent["Location"] == "/organizations/acme/settings", "a proof holds for some minutes"


def test_nobody_else_sends_a_form_that_waits(cast):
    client, other = stale(cast), stale(cast, "bob")
    asked = client.post("/settings/tokens", TOKEN)
    back = parse_qs(urlsplit(asked["Location"]).query)["next"][0]
    assert other.get(back)["Location"] == "/settings/tokens"
    assert client.get(back)["Location"].startswith("/settings/security/confirm"), "without a proof it goes on waiting"
    assert client.get("/settings/tokens?send-form=guessed")["Location"] == "/settings/tokens"
    assert confirm(client, client.post("/settings/tokens", {**TOKEN, "name": "the second"}))
    assert client.get(back)["Location"] == "/settings/tokens", "the later form takes the place of the earlier one"
    assert Token.objects.count() == 0


def test_a_form_that_waited_too_long_is_forgotten(cast, monkeypatch):
    client = stale(cast)
    back = confirm(client, client.post("/settings/tokens", TOKEN))
    monkeypatch.setattr(sessions, "RECENT_SECONDS", -1)
    assert client.get(back)["Location"] == "/settings/tokens"
    assert Token.objects.count() == 0


def test_a_form_that_is_too_long_to_keep_is_said_to_be_lost(cast, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_KEPT", 10)
    client = stale(cast)
    referer = "http://testserver/settings/account"
    answer = client.post("/settings/account/address", {"email": "new@example.org"}, headers={"referer": referer})
    assert answer["Location"] == "/settings/security/confirm?next=%2Fsettings%2Faccount"
    assert "Nothing has changed yet" in text(client.get(answer["Location"]))
    foreign = client.post(
        "/settings/account/address", {"email": "x" * 20}, headers={"referer": "https://evil.example/x"}
    )
    assert foreign["Location"].endswith("next=%2Fsettings")


def test_a_page_that_is_only_read_asks_for_nothing_and_costs_no_query_more(cast):
    client = stale(cast)
    client.get("/settings/tokens")  # the first page of a session notes its use
    with CaptureQueriesContext(connection) as reading:
        assert client.get("/settings/tokens").status_code == 200
    assert not [query for query in reading if "authenticator" in query["sql"]]
    proven = signed_in(Client(), cast["alice"])
    proven.get("/settings/tokens")
    with CaptureQueriesContext(connection) as sending:
        proven.post("/settings/tokens", TOKEN)
    assert len([query for query in sending if "authenticator" in query["sql"]]) == 1


def test_a_new_factor_ends_the_sessions_that_have_not_shown_it(alice, visit):
    other = visit()
    sign_in(other)
    assert other.get("/settings/profile").status_code == 200
    set_up_app(alice)
    assert other.get("/settings/profile")["Location"].startswith("/login?")
    assert alice.get("/settings/profile").status_code == 200
    assert alice.post("/settings/tokens", TOKEN).status_code == 200


def test_a_session_ends_some_time_after_signing_in_however_often_it_is_used(alice, settings):
    settings.SESSION_DAYS = 3
    for days, status in ((1, 200), (2, 200), (3, 302)):
        session = alice.session
        session["seen_at"] = session["began_at"] = int(time.time()) - days * 24 * 3600
        session.save()
        alice.get("/settings/profile")
        assert alice.get("/settings/profile").status_code == status


def test_a_session_that_is_not_used_ends_earlier(alice, settings):
    alice.get("/settings/profile")
    left = alice.session.get_expiry_age()
    assert settings.SESSION_COOKIE_AGE - 60 < left <= settings.SESSION_COOKIE_AGE < settings.SESSION_DAYS * 24 * 3600


def test_a_hub_may_require_a_second_factor_of_all_who_publish(alice, cast):
    value = cast.token("alice")
    site_settings.change_setting("second_factor", "required", cast["ada"])
    wire = {"headers": {"authorization": f"Bearer {value}"}, "content_type": "application/json"}
    refused = alice.post("/settings/tokens", TOKEN)
    assert refused.status_code == 403
    assert "This hub requires a second factor" in text(refused)
    assert "/settings/security" in text(refused)
    by_token = Client().post("/api/repos/create", {"organization": "alice", "name": "reviews"}, **wire)
    assert by_token.status_code == 403
    assert "second factor" in by_token.headers["X-Error-Message"]
    robot = Client(headers={"authorization": f"Bearer {cast.robot(acme__x='create')}"})
    body = {"organization": "acme", "name": "x", "type": "model"}
    assert robot.post("/api/repos/create", body, content_type="application/json").status_code == 200
    set_up_app(alice)
    assert alice.post("/settings/tokens", TOKEN).status_code == 200
    by_token = Client().post("/api/repos/create", {"organization": "alice", "name": "reviews", "type": "model"}, **wire)
    assert by_token.status_code == 200


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
