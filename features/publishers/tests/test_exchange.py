"""The exchange of a CI job's identity token for an access token: who gets one, what it may do, 40 that get none."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc.jwk import RSAKey

from features.publishers import verbs
from features.publishers.exchange import last_refusal
from registry.kernel.policy import Caller
from registry.models import AuditEvent, PublishingRun, Repository, Revision, Token, TrustedPublisher, User
from registry.people.tokens import tokens
from registry.publish import moves, repositories
from tests.cast import Cast
from tests.ci_issuer import Issuer, issuing
from tests.hf.wire import Answer, Wire, file, header
from tests.sweep import at_merge, sweep

HUB = "https://hub.example.org"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
PINNED = {
    "repository": ["acme/train"],
    "repository_owner_id": ["4711"],
    "workflow_ref": ["acme/train/.github/workflows/publish.yml@refs/heads/*"],
}


@pytest.fixture(scope="module")
def running() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def issuer(running: Issuer, settings) -> Issuer:
    """A CI system that this hub allows and has not asked yet."""
    settings.CI_ISSUERS, settings.WEBHOOK_ALLOW, settings.PUBLIC_URL = [running.url], ["127.0.0.0/8"], HUB
    running.asked.clear()
    running.configuration.clear()
    running.documents.clear()
    del running.keys[1:]
    return running


@pytest.fixture
def publisher(cast: Cast, issuer: Issuer) -> TrustedPublisher:
    """The job of acme/train that may publish to acme/reviews."""
    cast.repository("acme/other")
    return verbs.trust(cast.repository("acme/reviews"), issuer.url, PINNED, cast.session("alice"))


def exchange(wire: Wire, token: Any, resource: str = "acme/reviews", **more: Any) -> Answer:
    body = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": token, "resource": resource}
    return wire.ask("POST", "/oauth/token", body | more, who="nobody")


def refused(answer: Answer, word: str = "invalid_grant") -> str:
    """Assert a refusal of RFC 6749 and return its sentence."""
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert body.keys() == {"error", "error_description"}
    assert body["error"] == word, body
    return body["error_description"]


def granted(answer: Answer) -> str:
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]


# --- who gets a token ------------------------------------------------------------------------------------------------
def test_a_trusted_job_gets_an_hour_in_one_repository(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    answer = exchange(wire, issuer.token(HUB))
    value = granted(answer)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.json() == {
        "access_token": value,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "bearer",
        "expires_in": 3600,
    }
    token = Token.objects.get()
    assert (token.user, token.role, token.grants) == (publisher.account, "fine-grained", {"acme/reviews": "write"})
    assert 3590 < (token.expires_at - token.created_at).total_seconds() <= 3601
    oid = wire.push("acme/reviews", {"notes.txt": b"from CI"}, who=value)
    revision = Revision.objects.get(oid=oid)
    assert revision.author.username.startswith("publisher:acme-train-")
    assert revision.run.claims["run_id"] == "123456"
    refused_push = wire.commit("acme/other", header(), file("x"), who=value)
    assert refused_push.status_code == 403
    publisher.refresh_from_db()
    assert publisher.last_used_at is not None


def test_the_log_names_the_publisher_and_no_person(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    value = granted(exchange(wire, issuer.token(HUB)))
    wire.push("acme/reviews", {"notes.txt": b"from CI"}, who=value)
    event = AuditEvent.objects.get(action="publisher:exchange")
    assert (event.actor, event.object) == (publisher.account.username, "acme/reviews")
    assert event.after["sha"] == "a" * 40
    assert value not in json.dumps(list(AuditEvent.objects.values("note", "after", "before", "object")))


def test_a_form_is_taken_as_json_is(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    fields = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "resource": f"{HUB}/acme/reviews"}
    body = urlencode(fields | {"subject_token": issuer.token(HUB)}).encode()
    kind = "application/x-www-form-urlencoded"
    granted(wire.ask("POST", "/oauth/token", body, who="nobody", Content_Type=kind))


def test_a_key_on_an_elliptic_curve_is_as_good(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    key = issuer.new_key("EC")
    granted(exchange(wire, issuer.sign(issuer.claims(HUB), key)))


def test_keys_are_kept_and_asked_for_again_when_a_new_one_signs(
    wire: Wire, issuer: Issuer, publisher: TrustedPublisher
):
    for _ in range(3):
        granted(exchange(wire, issuer.token(HUB)))
    assert issuer.asked.count("/keys") == 1
    new = issuer.new_key()
    granted(exchange(wire, issuer.sign(issuer.claims(HUB), new)))
    assert issuer.asked.count("/keys") == 2
    stray = RSAKey.generate_key(2048, {"kid": "stray"})
    for _ in range(5):
        refused(exchange(wire, issuer.sign(issuer.claims(HUB), stray)))
    assert issuer.asked.count("/keys") == 2, "strangers make the hub ask again and again"


def test_an_issuer_that_is_down_is_no_fault_of_the_job(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    issuer.documents["/keys"] = b"<html>down"
    assert exchange(wire, issuer.token(HUB)).status_code == 503
    assert exchange(wire, issuer.token(HUB)).status_code == 503
    assert issuer.asked.count("/keys") == 1, "an issuer that is down is not asked by each request"


@pytest.mark.parametrize(
    ("configuration", "keys"),
    [
        ({"issuer": "https://gitlab.com"}, None),
        ({"jwks_uri": None}, None),
        ({"jwks_uri": "http://169.254.169.254/latest/meta-data"}, None),
        ({"jwks_uri": "file:///etc/passwd"}, None),
        ({}, b"[" * 200_000),
        ({}, b'{"keys": []' + b" " * 300_000 + b"}"),
    ],
)
def test_a_strange_configuration_gives_no_keys(wire: Wire, issuer: Issuer, publisher, configuration, keys):
    issuer.configuration |= configuration
    if keys:
        issuer.documents["/keys"] = keys
    assert exchange(wire, issuer.token(HUB)).status_code == 503


def test_an_issuer_in_a_private_network_is_not_asked(wire: Wire, issuer: Issuer, publisher, settings):
    settings.WEBHOOK_ALLOW = []
    assert exchange(wire, issuer.token(HUB)).status_code == 503
    assert issuer.asked == []


# --- what the token may do -------------------------------------------------------------------------------------------
def test_a_pending_publisher_creates_the_one_repository(wire: Wire, cast: Cast, issuer: Issuer):
    verbs.trust_pending("acme/fresh", issuer.url, PINNED, cast.session("alice"))
    value = granted(exchange(wire, issuer.token(HUB), "acme/Fresh"))
    body = {"name": "elsewhere", "organization": "acme", "type": "model"}
    assert wire.ask("POST", "/api/repos/create", body, who=value).status_code == 403
    assert wire.ask("POST", "/api/repos/create", body | {"name": "fresh"}, who=value).status_code == 200
    wire.push("acme/fresh", {"a.txt": b"a"}, who=value)
    publisher = TrustedPublisher.objects.get()
    assert publisher.repository == Repository.objects.get(name="fresh")
    assert publisher.repository.created_by == publisher.account
    again = granted(exchange(wire, issuer.token(HUB), "acme/fresh"))
    assert tokens.caller_of(again).token.grants == {"acme/fresh": "write"}


def test_a_token_writes_no_repository_of_another_type_that_has_the_same_name(
    wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher
):
    twin = cast.repository("acme/reviews", type="dataset")
    verbs.set_publishers_only(twin, True, cast.session("alice"))
    value = granted(exchange(wire, issuer.token(HUB)))
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (header(), file("x")))
    path = "/api/datasets/acme/reviews/commit/main"
    pushed = wire.ask("POST", path, lines, who=value, Content_Type="application/x-ndjson")
    assert pushed.status_code == 403, pushed.content
    body = {"name": "reviews", "organization": "acme", "type": "space"}
    assert wire.ask("POST", "/api/repos/create", body, who=value).status_code == 403


def test_a_pending_publisher_creates_its_own_type_alone(wire: Wire, cast: Cast, issuer: Issuer):
    verbs.trust_pending("acme/fresh", issuer.url, PINNED, cast.session("alice"), type="dataset")
    value = granted(exchange(wire, issuer.token(HUB), "datasets/acme/fresh"))
    body = {"name": "fresh", "organization": "acme"}
    for type in ("model", "space"):
        assert wire.ask("POST", "/api/repos/create", body | {"type": type}, who=value).status_code == 403
    assert wire.ask("POST", "/api/repos/create", body | {"type": "dataset"}, who=value).status_code == 200
    assert wire.ask("POST", "/api/repos/create", body | {"type": "model"}, who=value).status_code == 403


def test_a_token_does_not_write_what_takes_the_name_after_a_move(
    wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher
):
    value = granted(exchange(wire, issuer.token(HUB)))
    moves.move(publisher.repository, "acme/opinions", cast.session("alice"))
    cast.repository("acme/reviews")
    assert wire.commit("acme/reviews", header(), file("x"), who=value).status_code == 403


def test_a_repository_that_is_deleted_is_not_made_again_by_a_token_that_is_left(wire: Wire, cast: Cast, issuer: Issuer):
    verbs.trust_pending("acme/fresh", issuer.url, PINNED, cast.session("alice"))
    value = granted(exchange(wire, issuer.token(HUB), "acme/fresh"))
    body = {"name": "fresh", "organization": "acme", "type": "model"}
    assert wire.ask("POST", "/api/repos/create", body, who=value).status_code == 200
    repositories.delete(Repository.objects.get(name="fresh"), cast.session("alice"))
    assert wire.ask("POST", "/api/repos/create", body, who=value).status_code == 401
    refused(exchange(wire, issuer.token(HUB), "acme/fresh"))


def test_a_publisher_that_is_removed_ends_at_once(wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher):
    value = granted(exchange(wire, issuer.token(HUB)))
    verbs.remove(publisher.repository, publisher.pk, cast.session("alice"))
    assert wire.commit("acme/reviews", header(), file("x"), who=value).status_code == 401
    refused(exchange(wire, issuer.token(HUB)))


def test_another_owner_trusts_nobody_yet(wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher):
    value = granted(exchange(wire, issuer.token(HUB)))
    moves.move(publisher.repository, "alice/reviews", cast.session("alice"))
    assert wire.commit("alice/reviews", header(), file("x"), who=value).status_code == 401
    refused(exchange(wire, issuer.token(HUB), "alice/reviews"))


def test_another_name_takes_its_publishers_along(wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher):
    moves.move(publisher.repository, "acme/opinions", cast.session("alice"))
    refused(exchange(wire, issuer.token(HUB), "acme/reviews"))
    value = granted(exchange(wire, issuer.token(HUB), "acme/opinions"))
    wire.push("acme/opinions", {"a.txt": b"a"}, who=value)


def test_publishers_alone_push_where_the_owner_says_so(
    wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher
):
    verbs.set_publishers_only(publisher.repository, True, cast.session("alice"))
    for who in (cast.token("alice"), cast.token("bob"), cast.token("alice", "fine-grained", acme__reviews="write")):
        answer = wire.commit("acme/reviews", header(), file("x"), who=who)
        assert (answer.status_code, answer.json()["code"]) == (403, "publishers-only")
    wire.push("acme/reviews", {"x": b"x"}, who=granted(exchange(wire, issuer.token(HUB))))
    assert wire.propose("acme/reviews", file("y"), who="carol").status_code == 200
    verbs.set_publishers_only(publisher.repository, False, cast.session("alice"))
    wire.push("acme/reviews", {"z": b"z"}, who="alice")


@pytest.mark.parametrize("path", ["/api/v1/me/tokens", "/api/v1/organizations/acme/members"])
def test_a_job_sees_nothing_of_people(wire: Wire, issuer: Issuer, publisher: TrustedPublisher, path: str):
    value = granted(exchange(wire, issuer.token(HUB)))
    granted(exchange(wire, issuer.token(HUB)))
    answer = wire.get(path, who=value)
    if path.endswith("tokens"):
        assert [token["name"] for token in answer.json()["items"]] == [tokens.caller_of(value).token.name]
    else:
        assert answer.status_code == 403, answer.content


# --- who gets none ---------------------------------------------------------------------------------------------------
def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed_by_the_public_key(issuer: Issuer) -> str:
    """Return a token of HS256 whose secret is the issuer's public key, as text."""
    secret = issuer.keys[0].as_pem(private=False)
    head, body = unsigned({"alg": "HS256", "kid": issuer.keys[0].kid}, issuer.claims(HUB)).split(".")[:2]
    digest = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def stray(issuer: Issuer, **header: Any) -> str:
    """Return a token that another key signed under the name of the issuer's own."""
    key = RSAKey.generate_key(2048, {"kid": issuer.keys[0].kid})
    return issuer.sign(issuer.claims(HUB), key, **header)


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.token(HUB, repository="mallory/train").split(".")
    body = unsigned({}, issuer.claims(HUB)).split(".")[1]
    return f"{head}.{body}.{signature}"


NOW = time.time
NESTED: Any = "x"
for _ in range(40):
    NESTED = {"x": NESTED}

BAD: dict[str, Callable[[Issuer], Any]] = {
    "another audience": lambda ci: ci.token("https://other.example.org"),
    "the hub's audience and a path": lambda ci: ci.token(f"{HUB}/"),
    "the hub's host, by http": lambda ci: ci.token(HUB.replace("https", "http")),
    "a list of audiences": lambda ci: ci.token(HUB, aud=[HUB, "https://other.example.org"]),
    "no audience": lambda ci: ci.token(HUB, aud=None),
    "expired": lambda ci: ci.token(HUB, iat=int(NOW()) - 400, nbf=None, exp=int(NOW()) - 61),
    "no end": lambda ci: ci.token(HUB, exp=None),
    "an end in words": lambda ci: ci.token(HUB, exp="tomorrow"),
    "an endless end": lambda ci: ci.token(HUB, exp=1e400),
    "valid for years": lambda ci: ci.token(HUB, exp=int(NOW()) + 10**8),
    "an end beyond the calendar": lambda ci: ci.token(HUB, exp=10**30, iat=10**30 - 5),
    "not valid yet": lambda ci: ci.token(HUB, nbf=int(NOW()) + 120),
    "issued in the future": lambda ci: ci.token(HUB, iat=int(NOW()) + 120),
    "never issued": lambda ci: ci.token(HUB, iat=None),
    "another issuer": lambda ci: ci.token(HUB, iss="https://evil.example.org"),
    "an issuer with a slash": lambda ci: ci.token(HUB, iss=f"{ci.url}/"),
    "an issuer in a list": lambda ci: ci.token(HUB, iss=[ci.url]),
    "no issuer": lambda ci: ci.token(HUB, iss=None),
    "alg none": lambda ci: unsigned({"alg": "none", "kid": ci.keys[0].kid}, ci.claims(HUB)),
    "alg None": lambda ci: unsigned({"alg": "None", "kid": ci.keys[0].kid}, ci.claims(HUB), b"x"),
    "RS256 without a signature": lambda ci: unsigned({"alg": "RS256", "kid": ci.keys[0].kid}, ci.claims(HUB)),
    "the public key as a shared secret": signed_by_the_public_key,
    "an RSA key for ES256": lambda ci: unsigned({"alg": "ES256", "kid": ci.keys[0].kid}, ci.claims(HUB), b"x" * 64),
    "an unknown key": lambda ci: ci.sign(ci.claims(HUB), RSAKey.generate_key(2048, {"kid": "unknown"})),
    "no key": lambda ci: unsigned({"alg": "RS256"}, ci.claims(HUB), b"x"),
    "a key that is a list": lambda ci: unsigned({"alg": "RS256", "kid": ["x"]}, ci.claims(HUB), b"x"),
    "another key of the same name": stray,
    "its own key (jwk)": lambda ci: stray(ci, jwk=ci.keys[0].as_dict(private=False)),
    "keys elsewhere (jku)": lambda ci: ci.sign(ci.claims(HUB), jku="https://evil.example.org/keys"),
    "a certificate elsewhere (x5u)": lambda ci: ci.sign(ci.claims(HUB), x5u="https://evil.example.org/cert"),
    "a critical extension": lambda ci: unsigned(
        {"alg": "RS256", "kid": ci.keys[0].kid, "crit": ["b64"], "b64": False}, ci.claims(HUB), b"x"
    ),
    "claims under another signature": tampered,
    "no id": lambda ci: ci.token(HUB, jti=None),
    "times that are texts": lambda ci: ci.token(HUB, iat=str(int(time.time())), exp=str(int(time.time()) + 300)),
    "a time that is a boolean": lambda ci: ci.token(HUB, iat=True),
    "an id that is a number": lambda ci: ci.token(HUB, jti=7),
    "an endless id": lambda ci: ci.token(HUB, jti="x" * 501),
    "another project": lambda ci: ci.token(HUB, repository="mallory/train"),
    "a project whose name begins alike": lambda ci: ci.token(HUB, repository="acme/train-evil"),
    "another owner of the same name": lambda ci: ci.token(HUB, repository_owner_id="666"),
    "another workflow": lambda ci: ci.token(HUB, workflow_ref="acme/train/.github/workflows/test.yml@refs/heads/main"),
    "the workflow of a pull request": lambda ci: ci.token(
        HUB, workflow_ref="acme/train/.github/workflows/publish.yml@refs/pull/7/merge"
    ),
    "a claim that is missing": lambda ci: ci.token(HUB, repository=None),
    "a claim that is a list": lambda ci: ci.token(HUB, repository=["acme/train"]),
    "a claim that is nested": lambda ci: ci.token(HUB, repository=NESTED),
    "a project in other letters": lambda ci: ci.token(HUB, repository="acme/tr\u0430in"),
    "a project with a zero-width space": lambda ci: ci.token(HUB, repository="acme/train\u200b"),
    "a project with a NUL": lambda ci: ci.token(HUB, repository="acme/train\0"),
    "a project in full-width letters": lambda ci: ci.token(HUB, repository="\uff41cme/train"),
    "huge": lambda ci: ci.token(HUB, ballast="x" * 20_000),
    "no token at all": lambda ci: "nonsense",
    "four parts": lambda ci: ci.token(HUB) + ".x",
    "half a character": lambda ci: "\ud800." + ci.token(HUB),
    "a deep header": lambda ci: base64.urlsafe_b64encode(b"[" * 9_000).decode().rstrip("=") + ".e30.x",
}


@pytest.mark.parametrize("names", [("acme/covert",), *at_merge((("acme/covert", "acme/absent", "nobody/at-all"),))])
@sweep("defect", BAD)
def test_a_bad_token_gets_none_and_learns_nothing(
    wire: Wire, cast: Cast, issuer: Issuer, publisher, defect: str, names
):
    cast.repository("acme/covert", private=True)
    verbs.trust(Repository.objects.get(name="covert"), issuer.url, PINNED, cast.session("alice"))
    sentences = {
        refused(exchange(wire, BAD[defect](issuer), name)).replace(name, "NAME") for name in ("acme/reviews", *names)
    }
    assert len(sentences) == 1, sentences
    assert not Token.objects.filter(user__kind="publisher").exists()
    assert not PublishingRun.objects.exists()
    assert all(path in {"/.well-known/openid-configuration", "/keys"} for path in issuer.asked)


def test_a_good_token_elsewhere_is_refused_as_where_nothing_is(wire: Wire, cast: Cast, issuer: Issuer, publisher):
    cast.repository("acme/covert", private=True)
    said = {
        refused(exchange(wire, issuer.token(HUB), name)).replace(name, "NAME")
        for name in ("acme/other", "acme/covert", "acme/absent", "datasets/acme/reviews".removeprefix("x"))
    }
    assert len({sentence.replace("acme/reviews", "NAME") for sentence in said}) == 1


def test_the_administrators_see_what_kept_a_job_of_their_project_out(wire: Wire, issuer: Issuer, publisher):
    dev = "acme/train/.github/workflows/publish.yml@refs/tags/dev"
    refused(exchange(wire, issuer.token(HUB, workflow_ref=dev)))
    found = last_refusal(publisher)
    assert found is not None
    assert found.claims == {"workflow_ref": dev}
    refused(exchange(wire, issuer.token(HUB, repository="mallory/train", workflow_ref="evil")))
    assert last_refusal(publisher).claims == found.claims, "anybody can start a job of another project"
    granted(exchange(wire, issuer.token(HUB)))
    publisher.refresh_from_db()
    assert last_refusal(publisher) is None, "it is over"


def test_a_token_is_exchanged_once(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    token = issuer.token(HUB)
    granted(exchange(wire, token))
    assert "used before" in refused(exchange(wire, token))
    head, body, _ = token.split(".")
    assert "used before" in refused(exchange(wire, issuer.sign(json.loads(base64.urlsafe_b64decode(body + "==")))))
    assert Token.objects.count() == 1
    assert head


def test_a_used_token_is_remembered_as_long_as_it_would_be_valid(wire: Wire, issuer: Issuer, publisher):
    now = int(time.time())
    token = issuer.token(HUB, exp=now - 30, iat=now - 400, nbf=None)  # within the difference that clocks may have
    granted(exchange(wire, token))
    Token.objects.update(expires_at="2020-01-01T00:00Z")
    granted(exchange(wire, issuer.token(HUB)))  # forgets what is over
    assert "used before" in refused(exchange(wire, token))


def test_the_clocks_may_differ_by_a_minute(wire: Wire, issuer: Issuer, publisher: TrustedPublisher):
    now = int(time.time())
    granted(exchange(wire, issuer.token(HUB, iat=now + 50, nbf=now + 50, exp=now + 300)))
    granted(exchange(wire, issuer.token(HUB, iat=now - 300, nbf=now - 300, exp=now - 50)))


@sweep(
    "changed, word",
    [
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token": ["a"]}, "invalid_request"),
        ({"resource": ""}, "invalid_request"),
        ({"resource": "alice"}, "invalid_target"),
        ({"resource": "kernels/acme/reviews"}, "invalid_target"),
        ({"resource": "acme/reviews/../../x"}, "invalid_target"),
        ({"resource": "acme/re\0views"}, "invalid_target"),
        ({"resource": "acme/" + "x" * 5000}, "invalid_target"),
        ({"resource": "https://other.example.org/acme/reviews"}, "invalid_target"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
    ],
)
def test_a_request_that_is_no_exchange_is_said_so(wire: Wire, issuer: Issuer, publisher, changed, word):
    refused(exchange(wire, issuer.token(HUB), **changed), word)


def test_a_body_that_is_no_object_is_an_invalid_request(wire: Wire, issuer: Issuer):
    for body in (b"[]", b"{", b'{"grant_type": "a", "grant_type": "b"}'):
        refused(wire.ask("POST", "/oauth/token", body, who="nobody"), "invalid_request")


def test_what_is_withheld_gives_no_token(wire: Wire, cast: Cast, issuer: Issuer, publisher: TrustedPublisher):
    Repository.objects.filter(name="reviews").update(quarantined_at="2026-01-01T00:00Z")
    assert "No trusted publisher of acme/reviews matches" in refused(exchange(wire, issuer.token(HUB)))


def test_the_jobs_of_a_person_end_with_the_person(wire: Wire, cast: Cast, issuer: Issuer):
    verbs.trust_pending("carol/fresh", issuer.url, PINNED, cast.session("carol"))
    verbs.trust(cast.repository("carol/notes", by="carol"), issuer.url, PINNED, cast.session("carol"))
    values = [granted(exchange(wire, issuer.token(HUB), name)) for name in ("carol/fresh", "carol/notes")]
    User.objects.filter(username="carol").update(is_active=False)
    for name in ("carol/fresh", "carol/notes"):
        assert "No trusted publisher of" in refused(exchange(wire, issuer.token(HUB), name))
    body = {"name": "fresh", "type": "model", "organization": "carol"}
    for value in values:
        assert wire.ask("POST", "/api/repos/create", body, who=value).status_code == 401
    assert not Repository.objects.filter(name="fresh").exists()


def test_an_account_of_a_machine_alone_has_no_rights(cast: Cast, issuer: Issuer, publisher: TrustedPublisher):
    alone = Caller(user=publisher.account)
    assert alone.grant(publisher.repository) == ""
    assert not publisher.account.has_usable_password()
    assert uuid.uuid4().hex not in publisher.account.username
