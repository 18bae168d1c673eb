"""Signing in by an identity provider: who gets which account, what groups give, and every forgery is refused."""

import re
import time
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt as pyjwt
import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from joserfc.jwk import RSAKey

from features.sso import settings as configured
from features.sso.provider import identity_id
from hub.environment import Environment
from registry.kernel import seams, site_settings
from registry.kernel.errors import NameReserved
from registry.models import AuditEvent, Membership, NameObservation, User
from registry.people import accounts, name_rules, profiles
from tests.cast import PASSWORD
from tests.identity_provider import CLIENT_ID, CLIENT_SECRET, Forger, forging

pytestmark = pytest.mark.django_db(transaction=True)
GROUPS = "engineers=acme:write,leads=acme:admin,guests=acme:read,operators=admin,watch=moderator"


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Forger, Forger]]:
    with forging() as one, forging() as other:
        yield one, other


@pytest.fixture
def forger(running, settings, cast) -> Forger:
    """The provider `corp`; `other` is a second one that people trust as well."""
    for one in running:
        one.forge = one.profile = None
        del one.keys[1:]
    providers = {
        name: configured.Provider(
            name, name.title(), one.url, CLIENT_ID, CLIENT_SECRET, configured.group_roles(GROUPS), domains
        )
        for name, one, domains in zip(
            ("corp", "other"), running, (frozenset({"corp.example", "example.org"}), frozenset()), strict=True
        )
    }
    settings.OIDC_PROVIDERS = providers
    settings.SOCIALACCOUNT_PROVIDERS = configured.allauth_apps(providers)
    return running[0]


def begin(client: Client, provider: str = "corp", **form: str) -> dict[str, str]:
    """Press the button; return the parameters with which the browser arrives at the provider."""
    page = client.post(f"/login/with/{provider}", form)
    assert page.status_code == 200, page.get("Location")
    address = unescape(re.search(r'content="0;url=([^"]+)"', page.content.decode())[1])
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def come_back(client: Client, forger: Forger, asked: dict[str, str], provider: str = "corp", **claims):
    now = int(time.time())
    forger.good = {
        "iss": forger.url, "aud": CLIENT_ID, "sub": "4711", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
        "preferred_username": "zoe", "email": "zoe@corp.example", "email_verified": True, "name": "Zoe",
        **claims,
    }  # fmt: skip
    answer = {"code": "c", "state": asked["state"], "iss": forger.url}
    return client.get(f"/login/with/{provider}/callback", answer)


def sign_in(client: Client, forger: Forger, *, next: str = "", **claims):
    return come_back(client, forger, begin(client, **({"next": next} if next else {})), **claims)


def user_of(client: Client) -> str:
    """Return who is signed in in this browser, "" for nobody."""
    number = client.session.get("_auth_user_id")
    return User.objects.get(pk=number).username if number else ""


def roles(name: str) -> dict[str, str]:
    rows = Membership.objects.filter(user__username=name).select_related("organization__namespace")
    return {str(row.organization): row.role for row in rows}


def test_a_new_person_gets_an_account_and_finds_it_again(forger, visit):
    client = visit()
    answer = sign_in(client, forger, next="/settings/tokens")
    assert (answer.status_code, answer["Location"]) == (302, "/settings/tokens")
    assert user_of(client) == "zoe"
    user = User.objects.get(username="zoe")
    assert (user.email, user.email_verified, user.full_name) == ("zoe@corp.example", True, "Zoe")
    assert not user.has_usable_password()
    assert AuditEvent.objects.filter(action="account:link", note="corp").count() == 1
    again = visit()
    sign_in(again, forger, preferred_username="renamed", email="new@corp.example")
    assert user_of(again) == "zoe"
    other = visit()
    sign_in(other, forger, sub="4712", email="second@corp.example")
    assert user_of(other) == "zoe-2"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "Alice Müller@corp"}, "Alice-M-ller"),
        ({"preferred_username": "", "email": "x.y@corp.example"}, "x.y"),
        ({"preferred_username": "admin"}, "admin-2"),
        ({"preferred_username": "ACME"}, "ACME-2"),
        ({"preferred_username": "../..", "email": ""}, "person"),
        ({"preferred_username": ["zoe"], "email": None}, "person"),
    ],
)
def test_user_names_are_made_of_what_the_provider_says(forger, visit, claims, name):
    client = visit()
    sign_in(client, forger, **claims)
    assert user_of(client) == name


def test_a_name_that_a_feature_holds_is_not_given(forger, visit, monkeypatch):
    monkeypatch.setattr(seams, "joined", lambda: (seams.Feature(holds_name=lambda name: name == "bigscience"),))
    client = visit()
    sign_in(client, forger, preferred_username="BigScience")
    assert user_of(client) == "BigScience-2"


def test_the_rules_for_names_hold_for_people_of_a_provider(forger, visit, cast, request):
    request.addfinalizer(name_rules.clear_cache)
    name_rules.add("corp-*", "reserved", "namespace", cast["ada"])
    name_rules.add("payroll", "reserved", "any", cast["ada"])
    name_rules.add("evilcorp", "prohibited", "any", cast["ada"])
    made = []
    for number, wish in enumerate(("corp-sales", "Payroll", "ev1lc0rp", "g00gle")):
        client = visit()
        sign_in(client, forger, preferred_username=wish, sub=str(number), email=f"{number}@corp.example")
        made.append(user_of(client))
    assert re.fullmatch("person-[0-9a-f]{8}", made[0]), "every name that begins like the wish is reserved"
    assert made[1:] == ["Payroll-2", "ev1lc0rp-2", "g00gle"]
    assert list(NameObservation.objects.values_list("name", "like")) == [("g00gle", "google")]
    with pytest.raises(NameReserved):
        accounts.create_vouched("corp-sales", email="", email_verified=False, full_name="")
    assert AuditEvent.objects.get(action="person:register", object="g00gle").actor == "system"


def test_an_account_is_taken_only_if_both_sides_have_proven_the_address(forger, visit, cast):
    carol, dave = cast["carol"], cast["dave"]
    profiles.set_address(dave, "dave@corp.example", verified=False, by=dave)
    cases = [
        ("unverified there", {"email": carol.email, "email_verified": False}, "zoe"),
        ("a word that is not true", {"email": carol.email, "email_verified": "yes", "sub": "2"}, "zoe-2"),
        ("unverified here", {"email": "dave@corp.example", "sub": "3"}, "zoe-3"),
        ("verified on both sides", {"email": carol.email.upper(), "sub": "4"}, "carol"),
    ]
    for _, claims, name in cases:
        client = visit()
        sign_in(client, forger, **claims)
        assert user_of(client) == name
    assert not User.objects.get(username="zoe").email_verified
    assert User.objects.get(username="dave").email == "dave@corp.example"


@pytest.mark.parametrize("staff", ["mona", "ada"])
def test_nobody_becomes_staff_by_an_address(forger, visit, cast, staff):
    client = visit()
    answer = sign_in(client, forger, email=cast[staff].email)
    assert user_of(client) == ""
    assert "link it at Settings" in client.get(answer["Location"]).content.decode()
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("domains", "is_alone", "name"),
    [
        ({"example.org"}, False, "carol"),
        ({"example.org"}, True, "carol"),
        ({"corp.example", "le.org", "org"}, True, "zoe"),
        ((), True, "carol"),
        ((), False, "zoe"),
    ],
)
def test_a_provider_proves_addresses_of_its_domains_alone(forger, visit, cast, settings, domains, is_alone, name):
    corp = settings.OIDC_PROVIDERS["corp"]._replace(domains=frozenset(domains))
    settings.OIDC_PROVIDERS = {"corp": corp} if is_alone else settings.OIDC_PROVIDERS | {"corp": corp}
    client = visit()
    sign_in(client, forger, email=cast["carol"].email.upper())
    assert user_of(client) == name
    assert User.objects.get(username=name).email_verified is (name == "carol")


def test_an_address_that_a_lesser_provider_claims_stays_free_for_its_owner(running, forger, visit):
    """Who signs in first by a provider that proves nothing does not get what the owner does later."""
    first, owner = visit(), visit()
    sign_in(first, forger)
    corp_name = user_of(first)
    asked = begin(owner, "other")
    come_back(owner, running[1], asked, "other", email="late@corp.example", preferred_username="late")
    assert not User.objects.get(username="late").email_verified
    by_corp = visit()
    sign_in(by_corp, forger, sub="99", email="late@corp.example", preferred_username="real")
    assert (corp_name, user_of(by_corp)) == ("zoe", "real")


@pytest.mark.parametrize("registration", ["invite", "closed"])
@pytest.mark.parametrize(
    ("domains", "claims", "is_let_in"),
    [
        ((), {}, False),
        ({"corp.example"}, {}, True),
        ({"corp.example"}, {"email_verified": False}, False),
        ({"corp.example"}, {"email": "zoe@elsewhere.example"}, False),
        ({"corp.example"}, {"email": ""}, False),
    ],
)
def test_while_registration_is_not_open_domains_alone_let_people_in(
    forger, visit, cast, settings, registration, domains, claims, is_let_in
):
    settings.OIDC_PROVIDERS = {"corp": settings.OIDC_PROVIDERS["corp"]._replace(domains=frozenset(domains))}
    site_settings.change_setting("registration", registration, cast["ada"])
    client = visit()
    answer = sign_in(client, forger, **claims)
    assert user_of(client) == ("zoe" if is_let_in else "")
    assert User.objects.filter(username="zoe").exists() is is_let_in
    assert is_let_in or "takes no new accounts" in client.get(answer["Location"]).content.decode()


def test_who_has_an_account_signs_in_while_registration_is_closed(forger, visit, cast):
    site_settings.change_setting("registration", "closed", cast["ada"])
    client = visit()
    sign_in(client, forger, email=cast["carol"].email)
    assert user_of(client) == "carol"


def test_a_session_of_a_provider_ends_after_its_hours(forger, visit):
    client = visit()
    sign_in(client, forger)
    client.get("/settings/profile")
    assert 23 * 3600 < client.session.get_expiry_age() <= 24 * 3600
    session = client.session
    session["began_at"], session["seen_at"] = int(time.time()) - 25 * 3600, 0
    session.save()
    client.get("/settings/profile")
    assert client.get("/settings/profile")["Location"].startswith("/login")


def test_who_signs_in_as_somebody_else_has_a_session_of_that_provider(forger, visit, cast):
    client = visit("bob")
    asked = begin(client)
    assert come_back(client, forger, asked, sid="s1", auth_time=int(time.time()))["Location"] == "/"
    assert user_of(client) == "zoe"
    client.get("/settings/profile")
    assert 23 * 3600 < client.session.get_expiry_age() <= 24 * 3600
    assert sign_out(forger, sub="4711", sid="s1") == 200
    assert not is_in(client)


def provider_of(**parts: str) -> configured.Provider:
    whole = {"ISSUER": "https://login.corp.example", "CLIENT_ID": "x", "CLIENT_SECRET": "y", **parts}
    return configured.providers(Environment({f"DOVETAIL_OIDC_CORP_{part}": value for part, value in whole.items()}))[
        "corp"
    ]


def test_domains_and_hours_are_read_and_checked():
    assert (provider_of().domains, provider_of().session_hours) == (frozenset(), 24)
    given = provider_of(DOMAINS="Corp.example, corp.de,", SESSION_HOURS="8")
    assert (given.domains, given.session_hours) == ({"corp.example", "corp.de"}, 8)
    for part, values in {"DOMAINS": ("*", "@corp.example", "a b", ","), "SESSION_HOURS": ("0", "-1", "day")}.items():
        for value in values:
            with pytest.raises(ImproperlyConfigured, match=f"DOVETAIL_OIDC_CORP_{part} must"):
                provider_of(**{part: value})


EVENT = "http://schemas.openid.net/event/backchannel-logout"


def sign_out(forger: Forger, provider: str = "corp", by: Forger | None = None, **claims) -> int:
    """Send a logout token as the provider would; return the status."""
    now = int(time.time())
    told = {
        "iss": forger.url,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid4()),
        "events": {EVENT: {}},
    }
    claims = {name: value for name, value in (told | claims).items() if value is not None}
    key = (by or forger).keys[0]
    token = pyjwt.encode(claims, key.as_pem(private=True), "RS256", headers={"kid": key.kid})
    sent = Client(enforce_csrf_checks=True).post(f"/login/with/{provider}/logout", {"logout_token": token})
    return sent.status_code


def is_in(client: Client) -> bool:
    return client.get("/settings/profile").status_code == 200


def test_a_provider_ends_the_sessions_of_a_person_or_one_of_them(forger, visit, cast):
    one, two, other = visit(), visit(), visit()
    by_password = visit()
    sign_in(one, forger, sid="s1")
    sign_in(two, forger, sid="s2")
    sign_in(other, forger, sub="4712", sid="s3", email="second@corp.example")
    by_password.post("/login", {"username": "carol", "password": PASSWORD})
    SocialAccount.objects.create(
        user=cast["carol"], provider="corp", uid=identity_id({"iss": forger.url, "sub": "4713"})
    )
    assert sign_out(forger, sub="4711", sid="s1") == 200
    assert [is_in(client) for client in (one, two, other)] == [False, True, True]
    assert sign_out(forger, sid="s3") == 200
    assert [is_in(client) for client in (two, other)] == [True, False]
    assert sign_out(forger, sub="4711") == 200
    assert sign_out(forger, sub="4713") == 200
    assert [is_in(client) for client in (two, by_password)] == [False, True], "a session by password is the hub's own"
    assert sign_out(forger, sub="nobody") == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "x"}, {"events": None}, {"events": {}}, {"events": {EVENT: True}}, {"events": [EVENT]},
        {"aud": "somebody"}, {"iss": "https://elsewhere.example"}, {"jti": None}, {"iat": 1}, {"iat": None}, {"exp": 1},
        {"sub": None}, {"sub": ""}, {"sub": 4711}, {"sub": "\ud800"}, {"jti": "\ud800"}, {"sid": ["s1"]},
    ],
)  # fmt: skip
def test_a_token_that_is_no_logout_token_ends_nothing(forger, visit, claims):
    client = visit()
    sign_in(client, forger, sid="s1")
    assert sign_out(forger, **{"sub": "4711", **claims}) == 400
    assert is_in(client)


def test_a_logout_token_counts_once_and_for_its_provider_alone(forger, running, visit):
    client = visit()
    sign_in(client, forger)
    assert sign_out(forger, by=running[1], sub="4711") == 400
    assert sign_out(running[1], "other", sub="4711") == 200
    assert sign_out(forger, "nobody", sub="4711") == 400
    assert is_in(client)
    assert sign_out(forger, sub="4711", jti="once") == 200
    sign_in(client, forger)
    assert sign_out(forger, sub="4711", jti="once") == 400
    assert is_in(client)
    assert Client().post("/login/with/corp/logout").status_code == 400


def test_groups_give_roles_and_take_them_at_each_sign_in(forger, visit, cast):
    def as_member_of(*groups: str) -> tuple[dict[str, str], str]:
        sign_in(visit(), forger, groups=list(groups))
        return roles("zoe"), User.objects.get(username="zoe").role

    assert as_member_of("engineers", "guests", "unknown") == ({"acme": "write"}, "user")
    assert as_member_of("leads", "watch", "operators") == ({"acme": "admin"}, "admin")
    assert as_member_of("guests") == ({"acme": "read"}, "user")
    assert as_member_of() == ({}, "user")
    assert sorted(roles("alice")) == ["acme"], "nobody else is touched"


def test_the_last_administrator_stays(forger, visit, cast):
    ada = cast["ada"]
    client = visit()
    SocialAccount.objects.create(user=ada, provider="corp", uid=identity_id({"iss": forger.url, "sub": "4711"}))
    sign_in(client, forger, email=ada.email, groups=[])
    assert (user_of(client), User.objects.get(username="ada").role) == ("ada", "admin")


def test_a_suspended_person_stays_out(forger, visit):
    sign_in(visit(), forger)
    User.objects.filter(username="zoe").update(is_active=False)
    client = visit()
    sign_in(client, forger)
    assert user_of(client) == ""


def test_a_second_factor_is_asked_for_after_the_provider(forger, visit, cast):
    from tests.site.test_second_factor import set_up_app

    carol = visit()
    carol.post("/login", {"username": "carol", "password": PASSWORD})
    set_up_app(carol)
    client = visit()
    assert sign_in(client, forger, email=cast["carol"].email)["Location"] == "/login/second-factor"
    assert user_of(client) == ""


def test_linking_needs_a_session_that_has_just_proven_itself(forger, visit, cast):
    stale = Client()
    stale.force_login(cast["bob"])
    assert "/confirm" in stale.post("/settings/security/linked/with/corp")["Location"]
    bob = visit()
    bob.post("/login", {"username": "bob", "password": PASSWORD})
    page = bob.post("/settings/security/linked/with/corp").content.decode()
    asked = {k: v[0] for k, v in parse_qs(urlsplit(unescape(re.search(r"0;url=([^\"]+)", page)[1])).query).items()}
    assert come_back(bob, forger, asked, email="other@corp.example")["Location"] == "/settings/security"
    client = visit()
    sign_in(client, forger)
    assert user_of(client) == "bob"
    assert User.objects.get(username="bob").email == "bob@example.org", "linking changes no address"
    number = SocialAccount.objects.get().pk
    visit("carol").post(f"/settings/security/linked/{number}/remove")
    assert SocialAccount.objects.exists(), "a stranger removes nobody's link"
    bob.post(f"/settings/security/linked/{number}/remove")
    assert not SocialAccount.objects.exists()


def none_token(claims: dict) -> str:
    return pyjwt.encode(claims, key="", algorithm="none")


def forgeries(forger: Forger, other: Forger) -> dict:
    stranger = RSAKey.generate_key(2048, {"kid": forger.keys[0].kid, "use": "sig"})
    now = int(time.time())
    return {
        "no token": lambda claims: None,
        "alg none": none_token,
        "HS256 with the client's secret": lambda claims: pyjwt.encode(
            claims, CLIENT_SECRET, "HS256", headers={"kid": forger.keys[0].kid}
        ),
        "a stranger's key under the right kid": lambda claims: forger.sign(claims, stranger),
        "a key of another issuer": lambda claims: other.sign(claims),
        "no kid": lambda claims: forger.sign(claims, kid=None),
        "another audience": lambda claims: forger.sign({**claims, "aud": "somebody"}),
        "an audience with another party": lambda claims: forger.sign({**claims, "aud": [CLIENT_ID, "x"], "azp": "x"}),
        "another issuer": lambda claims: forger.sign({**claims, "iss": other.url}),
        "no issuer": lambda claims: forger.sign({k: v for k, v in claims.items() if k != "iss"}),
        "no subject": lambda claims: forger.sign({k: v for k, v in claims.items() if k != "sub"}),
        "an empty subject": lambda claims: forger.sign({**claims, "sub": ""}),
        "ended": lambda claims: forger.sign({**claims, "exp": now - 120}),
        "not begun": lambda claims: forger.sign({**claims, "iat": now + 3600, "nbf": now + 3600}),
        "no nonce": lambda claims: forger.sign({k: v for k, v in claims.items() if k != "nonce"}),
        "the nonce of another sign-in": lambda claims: forger.sign({**claims, "nonce": "x" * 43}),
        "a nonce that is no text": lambda claims: forger.sign({**claims, "nonce": [claims["nonce"]]}),
        "not a token": lambda claims: "nonsense",
    }


@pytest.mark.parametrize("number", range(18))
def test_forged_identity_tokens_sign_nobody_in(forger, running, visit, number):
    name, forge = list(forgeries(*running).items())[number]
    client = visit()
    asked = begin(client)
    forger.forge = forge
    answer = come_back(client, forger, asked)
    assert (answer.status_code, answer["Location"], user_of(client)) == (302, "/login", ""), name
    assert not User.objects.filter(username="zoe").exists(), name
    assert "failed or was cancelled" in client.get("/login").content.decode(), name


@pytest.mark.parametrize("odd", ["a\0b", "\ud800"])
def test_claims_that_cannot_be_stored_are_refused(forger, visit, odd):
    for claims in ({"groups": [odd]}, {"name": odd}, {"sub": odd}):
        client = visit()
        answer = sign_in(client, forger, **claims)
        assert (answer.status_code, answer["Location"], user_of(client)) == (302, "/login", "")
        assert "failed or was cancelled" in client.get("/login").content.decode()
    assert not SocialAccount.objects.exists()


def test_the_keys_of_a_provider_are_kept_until_it_has_new_ones(forger, visit):
    forger.asked.clear()
    sign_in(visit(), forger)
    sign_in(visit(), forger)
    assert forger.asked.count("/keys") == 1
    key = forger.new_key()
    forger.forge = lambda claims: forger.sign(claims, key)
    client = visit()
    sign_in(client, forger)
    assert user_of(client) == "zoe"
    assert forger.asked.count("/keys") == 2


def test_going_to_the_provider_counts_as_a_sign_in(forger, visit, monkeypatch):
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_030.0)
    caches["counters"].clear()
    site_settings.change_setting("throttle", "on", None)
    assert visit().post("/login/with/corp")["RateLimit-Policy"] == '"signin";q=30;w=60'
    assert visit().post("/login/with/corp/logout")["RateLimit-Policy"] == '"pages";q=300;w=60', "a provider ends many"


def test_a_profile_of_somebody_else_is_refused(forger, visit):
    client = visit()
    forger.profile = {"sub": "other", "email": "ada@example.org", "email_verified": True}
    assert (sign_in(client, forger)["Location"], user_of(client)) == ("/login", "")


def test_the_state_belongs_to_one_browser_one_provider_and_one_use(forger, running, visit):
    victim, attacker = visit(), visit()
    asked = begin(attacker)
    assert (come_back(victim, forger, asked)["Location"], user_of(victim)) == ("/login", ""), "another browser"
    assert come_back(victim, forger, {**asked, "state": ""})["Location"] == "/login", "none"
    answer = come_back(attacker, running[1], asked, "other")
    assert (answer["Location"], user_of(attacker)) == ("/login", ""), "another provider: mixed up"
    assert user_of(attacker) == ""
    asked = begin(attacker)
    come_back(attacker, forger, asked)
    assert user_of(attacker) == "zoe"
    attacker.post("/logout")
    forger.posted.clear()
    assert (come_back(attacker, forger, asked)["Location"], user_of(attacker)) == ("/login", ""), "used before"
    assert forger.posted == [], "the code of a replay is not even sent"


@pytest.mark.parametrize("issuer", ["", "https://evil.example"])
def test_an_answer_of_another_issuer_is_refused_before_the_code_is_sent(forger, visit, issuer):
    client = visit()
    asked = begin(client)
    forger.posted.clear()
    parameters = {"code": "c", "state": asked["state"], **({"iss": issuer} if issuer else {})}
    assert client.get("/login/with/corp/callback", parameters)["Location"] == "/login"
    assert (forger.posted, user_of(client)) == ([], "")


def test_a_provider_that_names_another_issuer_is_not_used(forger, running, visit, monkeypatch):
    monkeypatch.setitem(forger.configuration, "issuer", running[1].url)
    assert visit().post("/login/with/corp")["Location"] == "/login"


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_no_target_leads_to_another_host(forger, visit, target):
    client = visit()
    assert sign_in(client, forger, next=target)["Location"] == "/"


def test_the_way_there_has_pkce_and_needs_a_form(forger, visit):
    client = visit()
    asked = begin(client)
    assert (asked["code_challenge_method"], asked["response_type"], asked["client_id"]) == ("S256", "code", CLIENT_ID)
    assert asked["redirect_uri"].endswith("/login/with/corp/callback")
    assert client.get("/login/with/corp")["Location"] == "/login"
    assert Client(enforce_csrf_checks=True).post("/login/with/corp").status_code == 403
    assert client.post("/login/with/nobody")["Location"] == "/login"


def test_without_passwords_only_the_provider_and_the_operator_let_people_in(forger, visit, settings, capsys, cast):
    settings.PASSWORD_SIGN_IN = False
    client = visit()
    page = client.get("/login").content.decode()
    assert "Sign in with Corp" in page
    assert 'name="password"' not in page
    assert client.post("/login", {"username": "alice", "password": PASSWORD}).status_code == 403
    assert not client.login(username="alice", password=PASSWORD)
    for path in ("/password/reset", "/login/passkey", "/settings/password"):
        assert client.get(path)["Location"].startswith("/login"), path
    assert client.get("/join").status_code == 403
    sign_in(client, forger)
    assert user_of(client) == "zoe"
    call_command("sign_in_link", "ada")
    path = urlsplit(capsys.readouterr().out.strip()).path
    fresh = visit()
    assert "Sign in as ada" in fresh.get(path).content.decode()
    assert user_of(fresh) == "", "looking at it uses nothing up"
    fresh.post(path)
    assert user_of(fresh) == "ada"
    second = visit()
    assert (second.post(path).status_code, user_of(second)) == (404, ""), "it works once"
    assert visit().get(f"{path[:-3]}abc").status_code == 404
    with pytest.raises(Exception, match="not an administrator"):
        call_command("sign_in_link", "bob")


def test_a_person_without_a_password_confirms_by_the_provider(forger, visit):
    client = visit()
    sign_in(client, forger)
    session = client.session
    session["account_authentication_methods"] = []  # long ago
    session.save()
    question = client.get("/settings/security/app")["Location"]
    assert question == "/settings/security/confirm/provider?next=%2Fsettings%2Fsecurity%2Fapp"
    page = client.get(question).content.decode()
    assert "Confirm with Corp" in page
    assert 'name="password"' not in page
    asked = begin(client, next="/settings/security/app")
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    now = time.time()
    for auth_time in (None, now - 120, str(int(now)), [now]):  # the provider took the session that it had
        stale = come_back(client, forger, asked, **({"auth_time": auth_time} if auth_time else {}))
        assert stale["Location"] == "/settings/security", auth_time
        assert "/confirm" in client.get("/settings/security/app")["Location"], auth_time
        asked = begin(client, next="/settings/security/app")
    assert come_back(client, forger, asked, auth_time=int(now))["Location"] == "/settings/security/app"
    assert client.get("/settings/security/app").status_code == 200


def test_an_account_elsewhere_is_shown_by_what_it_told() -> None:
    """A provider that tells an e-mail address need not tell a user name."""
    for told, shown in (
        ({"email": "bob@corp.example"}, "bob@corp.example ·"),
        ({"preferred_username": "bob"}, "bob ·"),
    ):
        account = {"pk": 1, "extra_data": told, "date_joined": timezone.now(), "last_login": timezone.now()}
        page = render_to_string("sso/linked.html", {"linked": [(account, {"label": "Corp"})], "providers": []})
        assert shown in page


def test_the_page_to_confirm_offers_the_providers_with_and_without_a_way_back(client, forger):
    client.login(username="alice", password=PASSWORD)
    for address, back in (
        ("/settings/security/confirm", ""),
        ("/settings/security/confirm?next=/settings", "/settings"),
    ):
        page = client.get(address).content.decode()
        assert "Confirm with Corp" in page
        assert f'name="next" value="{back}"' in page
