"""Sign-ins of programs: begun on the wire, answered on a page, ended with a token or in OAuth's words."""

import json
from urllib.parse import urlencode

import pytest
from django.test import Client

from features.device_sign_in import verbs
from features.device_sign_in.models import DeviceLogin
from hub.limits import Family
from registry.kernel import site_settings
from registry.kernel.policy import NOBODY
from registry.models import User
from registry.people.tokens import tokens
from tests.hf.test_limits import lower
from tests.hf.wire import Wire
from tests.site.test_sharing import text


def form(wire: Wire, path: str, **fields: str):
    kind = "application/x-www-form-urlencoded"
    return wire.ask("POST", path, urlencode(fields).encode(), who="nobody", Content_Type=kind)


def poll(wire: Wire, code: str):
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return form(wire, "/oauth/token", grant_type=grant, device_code=code, client_id="x")


def test_a_full_pool_of_sign_ins_gives_up_the_one_that_waits_longest(cast, monkeypatch):
    monkeypatch.setattr(verbs, "MOST_WAITING", 3)
    approved, oldest, second = (verbs.begin_sign_in("hf") for _ in range(3))
    verbs.approve(approved.user_code, "read", cast.session("carol"))
    newest = verbs.begin_sign_in("hf")
    kept = set(DeviceLogin.objects.values_list("user_code", flat=True))
    assert kept == {approved.user_code, second.user_code, newest.user_code}
    assert oldest.user_code not in kept


@pytest.mark.parametrize(("addresses", "other"), [("2001:db8:7:{:x}::1", "2001:db8:8::1"), ("192.0.2.{}", "192.0.3.1")])
def test_one_site_has_a_share_of_the_sign_ins_however_many_networks_it_uses(client, db, addresses, other):
    def begin(address: str) -> int:
        return client.post("/oauth/device", {"client_id": "x"}, REMOTE_ADDR=address).status_code

    answers = [begin(addresses.format(number)) for number in range(1, 63)]
    assert answers == [200] * 60 + [429] * 2
    assert begin(other) == 200


@pytest.fixture
def begun(wire: Wire, cast) -> dict:
    answer = form(wire, "/oauth/device", client_id="x")
    assert answer.status_code == 200
    return answer.json()


def later() -> None:
    """Let the pause between two questions be over."""
    DeviceLogin.objects.update(polled_at=None)


def test_a_device_gets_one_token_when_its_person_says_so(wire: Wire, cast, begun):
    assert poll(wire, begun["device_code"]).json()["error"] == "authorization_pending"
    assert poll(wire, begun["device_code"]).json()["error"] == "slow_down"
    verbs.approve(begun["user_code"].lower(), "read", cast.session("carol"))
    later()
    given = poll(wire, begun["device_code"]).json()
    assert given["expires_in"] == verbs.TOKEN_DAYS * 86400
    caller = tokens.caller_of(given["access_token"])
    assert (caller.user.username, caller.token.role) == ("carol", "read")
    assert caller.token.expires_at is not None
    again = poll(wire, begun["device_code"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda cast, code: verbs.deny(code, cast.session("carol")), "access_denied"),
        (lambda cast, code: DeviceLogin.objects.update(expires_at="2020-01-01T00:00Z"), "expired_token"),
        (lambda cast, code: DeviceLogin.objects.all().delete(), "invalid_grant"),
    ],
)
def test_a_device_is_sent_away_in_oauths_words(wire: Wire, cast, begun, change, word):
    change(cast, begun["user_code"])
    assert poll(wire, begun["device_code"]).json()["error"] == word


def test_whoever_was_suspended_since_lets_nobody_in(wire: Wire, cast, begun):
    verbs.approve(begun["user_code"], "write", cast.session("carol"))
    User.objects.filter(username="carol").update(is_active=False)
    assert poll(wire, begun["device_code"]).json()["error"] == "access_denied"


def test_the_database_holds_no_code_that_a_program_could_use(begun):
    assert begun["device_code"] not in json.dumps(list(DeviceLogin.objects.values("sha256", "user_code", "client")))


def test_nobody_and_no_token_lets_a_device_in(cast, begun):
    for by in (NOBODY, tokens.caller_of(cast.token("alice"))):
        with pytest.raises(Exception, match=r"sign in|session"):
            verbs.approve(begun["user_code"], "write", by)
    assert DeviceLogin.objects.get().state == "waiting"


def test_looking_at_a_code_decides_nothing(visit, cast):
    begun = verbs.begin_sign_in("<i>hf</i>")
    carol = visit("carol")
    page = text(carol.get(f"/login/device?code={verbs.format_code(begun.user_code)}"))
    assert verbs.format_code(begun.user_code) in page
    assert "&lt;i&gt;hf&lt;/i&gt;" in page
    assert DeviceLogin.objects.get().state == "waiting"
    carol.post("/login/device/approve", {"code": begun.user_code, "role": "read"})
    assert tokens.caller_of(verbs.fetch_token(begun.device_code)).token.role == "read"


@pytest.mark.parametrize("code", ["BCDF-BCDF", "x", "<script>", "%00"])
def test_a_code_that_nobody_waits_for_is_asked_for_again(visit, cast, code):
    answer = visit("carol").get("/login/device", {"code": code})
    assert answer.status_code == 400
    assert "<script>" not in text(answer).replace("<script src", "")


def test_who_is_not_signed_in_comes_back_to_the_code(visit, cast):
    assert visit().get("/login/device?code=BCDF-BCDF").url == "/login?next=%2Flogin%2Fdevice%3Fcode%3DBCDF-BCDF"


def test_a_program_that_nobody_let_in_yet_is_sign_in_unfinished(cast):
    begun = verbs.begin_sign_in("a program")
    with pytest.raises(verbs.SignInUnfinished) as refusal:
        verbs.fetch_token(begun.device_code)
    assert (refusal.value.code, refusal.value.facts["error"]) == ("sign-in-unfinished", "authorization_pending")


def test_a_code_that_no_program_shows_is_sign_in_not_found(cast):
    with pytest.raises(verbs.SignInNotFound, match="No sign-in is waiting") as refusal:
        verbs.approve("BCDF-GHJK", "read", cast.session("alice"))
    assert refusal.value.code == "sign-in-not-found"


def test_where_a_second_factor_is_required_nobody_without_one_lets_a_program_in(visit, cast):
    site_settings.change_setting("second_factor", "required", cast["ada"])
    code = verbs.format_code(verbs.begin_sign_in("hf").user_code)
    page = text(visit("alice").post("/login/device/approve", {"code": code, "role": "read"}))
    assert "requires a second factor" in page
    assert not DeviceLogin.objects.exclude(state="waiting").exists()


def test_the_form_needs_its_secret(visit, cast):
    assert visit("alice", enforce_csrf_checks=True).post("/login/device/approve", {"code": "x"}).status_code == 403


def test_what_is_approved_gives_no_token_once_all_tokens_of_the_person_are_revoked(wire: Wire, cast, begun):
    verbs.approve(begun["user_code"], "write", cast.session("carol"))
    tokens.revoke_all(cast["carol"], by=cast["carol"])
    assert poll(wire, begun["device_code"]).json()["error"] == "invalid_grant"


@pytest.mark.usefixtures("_throttled")
def test_programs_begin_sign_ins_as_often_as_people_guess_passwords(cast, monkeypatch):
    lower(monkeypatch, Family.SIGN_IN, 3)
    answers = [Client().post("/oauth/device", {"client_id": "cli"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3]["Retry-After"] == "30"
    assert answers[3].json()["error"] == "slow_down"
    assert "Wait 30 seconds" in answers[3].json()["error_description"]
