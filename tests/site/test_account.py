"""Joining, signing in and out, tokens: what works, what is refused with a sentence, and what guessing costs."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from hub.addresses import address_of
from hub.site.sign_in import password_sign_in
from registry.kernel import site_settings
from registry.kernel.errors import TokenInvalid
from registry.models import Token, User
from registry.people.organizations import join_links
from registry.people.tokens import tokens
from tests.cast import PASSWORD
from tests.sweep import sweep

NEW = {
    "username": "frida",
    "email": "frida@example.org",
    "password1": "seven dovetail teeth",
    "password2": "seven dovetail teeth",
}


def text(answer):
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def test_who_joins_is_signed_in_and_sent_to_make_a_token(visit, cast):
    client = visit()
    answer = client.post("/join", NEW)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/settings/tokens")
    assert "frida" in text(client.get("/settings/tokens"))
    assert User.objects.get(username="frida").check_password(NEW["password1"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"username": "alice"}, "already taken"),
        ({"username": "ALICE"}, "already taken"),
        ({"username": "acme"}, "already taken"),
        ({"username": "settings"}, "reserved"),
        ({"username": "a/b"}, "not allowed"),
        ({"username": ""}, "not allowed"),
        ({"email": "nonsense"}, "not an e-mail address"),
        ({"password1": "short", "password2": "short"}, "at least 12"),
        ({"password1": "qwerty123456", "password2": "qwerty123456"}, "too common"),
        ({"password2": "something else"}, "do not match"),
    ],
)
def test_a_refused_form_says_why_and_keeps_what_was_typed(visit, cast, change, says):
    answer = visit().post("/join", {**NEW, **change})
    assert answer.status_code == (409 if "already" in says else 400)
    assert says in text(answer)
    assert NEW["password1"] not in answer.content.decode()
    assert not User.objects.filter(username="frida").exists()


def test_a_closed_hub_says_so(visit, cast):
    site_settings.change_setting("registration", "closed", by=cast["ada"])
    for answer in (visit().get("/join"), visit().post("/join", NEW)):
        assert answer.status_code == 403
        assert "Ask its administrator" in text(answer)


def test_an_invitation_by_mail_fills_in_the_address(visit, cast):
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    assert "People join this hub by invitation." in text(visit().get("/join"))
    secret = join_links.create(join_links.Terms(email="frida@example.org"), cast.session("ada"))
    assert 'value="frida@example.org"' in visit().get(f"/join?invitation={secret}").content.decode()


def test_signing_in_changes_the_session_and_goes_on_where_one_was(visit, cast):
    client = visit()
    assert client.get("/settings/tokens")["Location"] == "/login?next=%2Fsettings%2Ftokens"
    client.session["x"] = 1
    before = client.session.session_key
    answer = client.post("/login", {"username": "Alice", "password": PASSWORD, "next": "/settings/tokens"})
    assert answer["Location"] == "/settings/tokens"
    assert client.session.session_key != before


def test_people_sign_in_with_their_confirmed_address_too(visit, cast):
    cast["alice"].email = "Alice@example.org"
    for confirmed, expected in ((False, 400), (True, 302)):
        cast["alice"].email_verified = confirmed
        cast["alice"].save()
        answer = visit().post("/login", {"username": "alice@EXAMPLE.org", "password": PASSWORD})
        assert answer.status_code == expected, confirmed


def test_signing_out_needs_a_form(visit, cast):
    client = visit("alice")
    assert client.get("/logout")["Location"] == "/"
    assert client.get("/settings/tokens").status_code == 200
    client.post("/logout")
    assert client.get("/settings/tokens").status_code == 302


@sweep("target", [
        "//evil.example", "///evil.example", "////evil.example", "https://evil.example", "http:evil.example",
        "\\\\evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)",
        "data:text/html,x", " //evil.example", "https:///evil.example", "/%5cevil.example\\", "evil.example", "",
        "//evil.example@127.0.0.1/",
        "http://testserver", "https://testserver/x",
    ])  # fmt: skip
def test_no_sign_in_ends_on_another_host(visit, cast, target):
    answer = visit().post("/login", {"username": "alice", "password": PASSWORD, "next": target})
    location = answer["Location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "evil.example" not in location.partition("%")[0]
    assert f'value="{target}"' not in visit().get(f"/login?next={quote(target)}").content.decode() or not target


def test_a_wrong_name_and_a_wrong_password_look_the_same(visit, cast):
    wrong = [{"username": "alice", "password": "nonsense"}, {"username": "nobody-here", "password": PASSWORD}]
    pages = [visit().post("/login", form) for form in wrong]
    assert {page.status_code for page in pages} == {400}
    shown = [re.sub(r'value="[^"]*"', "", page.content.decode()) for page in pages]
    assert shown[0] == shown[1]


def test_a_suspended_person_cannot_sign_in(visit, cast):
    User.objects.filter(username="carol").update(is_active=False)
    assert visit().post("/login", {"username": "carol", "password": PASSWORD}).status_code == 400


def test_guessing_an_account_gets_slower_and_slower_but_is_never_locked(visit, cast, monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr("hub.site.sign_in.password_sign_in.time.time", lambda: now[0])
    waits = []
    for _ in range(12):
        answer = visit().post("/login", {"username": "alice", "password": "guess"})
        if answer.status_code == 429:
            waits.append(int(answer["Retry-After"]))
            now[0] += waits[-1]
    assert waits == sorted(waits)
    assert len(waits) >= 3
    assert waits[-1] > waits[0]
    now[0] += password_sign_in.LONGEST_WAIT
    assert visit().post("/login", {"username": "alice", "password": PASSWORD}).status_code == 302


def test_while_an_account_waits_even_the_right_password_does(visit, cast):
    for _ in range(password_sign_in.FREE_TRIES["pair"] + 3):
        visit().post("/login", {"username": "alice", "password": "guess"})
    assert visit().post("/login", {"username": "ALICE", "password": PASSWORD}).status_code == 429
    assert visit().post("/login", {"username": "bob", "password": PASSWORD}).status_code == 302


def test_one_address_cannot_try_every_account(visit, cast):
    for number in range(password_sign_in.FREE_TRIES["address"] + 2):
        visit().post("/login", {"username": f"guess-{number}", "password": "guess"})
    assert visit().post("/login", {"username": "bob", "password": PASSWORD}).status_code == 429
    elsewhere = visit("anonymous", REMOTE_ADDR="203.0.113.9")
    assert elsewhere.post("/login", {"username": "bob", "password": PASSWORD}).status_code == 302


def test_nobody_escapes_the_count_by_writing_a_header(visit, cast, rf, settings):
    forged = rf.get("/", REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR="198.51.100.1")
    assert address_of(forged) == "203.0.113.9"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    behind = rf.get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.1, 203.0.113.9")
    assert address_of(behind) == "203.0.113.9"
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert address_of(behind) == "203.0.113.9", "a network of proxies is not one client"


def test_no_second_spelling_of_a_name_gets_tries_of_its_own(cast):
    assert User.objects.get_by_natural_key("ALICE") == cast["alice"]
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key("al\u0131ce")  # PostgreSQL's upper() makes it ALICE


def test_a_token_is_shown_once_and_works(visit, cast):
    client = visit("alice")
    made = client.post("/settings/tokens", {"name": "laptop", "role": "write", "expires": ""})
    value = re.search(r"dvt_\w{32}", made.content.decode())[0]
    assert tokens.caller_of(value).user == cast["alice"]
    assert made["Cache-Control"] == "private, no-store"
    assert value not in client.get("/settings/tokens").content.decode()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "", "role": "write"}, "needs a name"),
        ({"name": "x", "role": "root"}, "Unknown token role"),
        ({"name": "x", "role": "read", "expires": "2020-01-01"}, "in the past"),
        ({"name": "x", "role": "read", "expires": "soon"}, "not a date"),
        ({"name": "x", "role": "read", "expires": "2030-02-31"}, "not a date"),
    ],
)
def test_a_token_that_cannot_be_made_is_refused_with_a_sentence(visit, cast, form, says):
    answer = visit("alice").post("/settings/tokens", form)
    assert answer.status_code == 400
    assert says in text(answer)
    assert not Token.objects.exists()


def test_a_token_ends_with_the_day_that_was_typed(visit, cast):
    day = (timezone.now() + timedelta(days=30)).date()
    visit("alice").post("/settings/tokens", {"name": "x", "role": "read", "expires": day.isoformat()})
    assert Token.objects.get().expires_at.date() == day


def test_one_can_revoke_ones_own_tokens_only(visit, cast):
    tokens.create_token(cast["alice"], "laptop", "write")
    number = Token.objects.get().pk
    visit("bob").post(f"/settings/tokens/{number}/revoke")
    assert Token.objects.filter(pk=number).exists()
    visit("alice").post(f"/settings/tokens/{number}/revoke")
    assert not Token.objects.exists()


@pytest.mark.parametrize("address", ["/join", "/login", "/logout", "/settings/tokens", "/settings/tokens/1/revoke"])
def test_no_form_is_taken_without_its_secret(visit, cast, address):
    client = visit("anonymous" if address in ("/join", "/login") else "alice", enforce_csrf_checks=True)
    answer = client.post(address, {**NEW, "password": PASSWORD, "name": "x", "role": "write"})
    assert answer.status_code == 403
    assert "has expired" in text(answer)


def changed(client, old=PASSWORD, new="seven dovetail teeth", again=None):
    fields = {"old": old, "password1": new, "password2": new if again is None else again}
    return client.post("/settings/password", fields)


def test_a_changed_password_takes_the_tokens_along_if_wanted(visit, cast):
    token = cast.token("alice")
    fields = {"old": PASSWORD, "password1": "seven dovetail teeth", "password2": "seven dovetail teeth"}
    answer = visit("alice").post("/settings/password", {**fields, "revoke_tokens": "on"})
    assert "1 token revoked" in text(answer)
    with pytest.raises(TokenInvalid):
        tokens.caller_of(token)


def test_a_changed_password_ends_the_other_sessions_and_no_token(visit, cast):
    here, elsewhere, token = visit("alice"), visit("alice"), cast.token("alice")
    assert "is changed" in text(changed(here))
    assert here.get("/settings/tokens").status_code == 200
    assert elsewhere.get("/settings/tokens").status_code == 302
    assert User.objects.get(username="alice").check_password("seven dovetail teeth")
    assert tokens.caller_of(token).user == cast["alice"]


def test_a_password_that_is_set_again_ends_the_other_sessions_too(visit, cast):
    here, elsewhere = visit("alice"), visit("alice")
    assert "is changed" in text(changed(here, new=PASSWORD))
    assert here.get("/settings/tokens").status_code == 200
    assert elsewhere.get("/settings/tokens").status_code == 302


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"old": "not the one"}, "The current password is wrong"),
        ({"again": "something else entirely"}, "do not match"),
        ({"new": "short"}, "at least 12"),
        ({"new": "qwerty123456"}, "too common"),
    ],
)
def test_a_password_is_changed_only_by_who_knows_it_and_to_a_good_one(visit, cast, change, says):
    answer = changed(visit("alice"), **change)
    assert answer.status_code == 400
    assert says in text(answer)
    assert User.objects.get(username="alice").check_password(PASSWORD)


def test_who_found_an_open_browser_may_not_guess_the_password(visit, cast):
    client = visit("alice")
    statuses = [changed(client, old=f"guess number {n}").status_code for n in range(6)]
    assert statuses == [400] * 5 + [429]
    assert "Retry-After" in changed(client)
