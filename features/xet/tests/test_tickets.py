"""Tickets for the Xet routes, and what each route says to whom; without a server of its own."""

import time

import pytest
from allauth.mfa.models import Authenticator
from django.core import signing
from django.test import Client

from features.xet import tickets
from features.xet.tests.test_intake import CLIENT_SHARD
from features.xet.tests.test_xorbs import CLIENT_NAME, CLIENT_XORB
from features.xet.tickets import Scope
from registry.models import Membership, Token
from registry.moderation import quarantine
from registry.people.organizations import organizations
from registry.people.tokens import tokens
from tests.cast import Cast

WRITE, READ = "xet-write-token", "xet-read-token"


@pytest.fixture
def wire(store) -> Client:
    return Client(enforce_csrf_checks=True)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def ask(wire: Client, path: str, token: str | None = None, rev: str = "main"):
    return wire.get(f"/api/{path}/{rev}", headers=bearer(token) if token else {})


def post(wire: Client, path: str, data: bytes, ticket: str):
    # A server that ends the input itself, as gunicorn does.
    return wire.post(
        path, data, content_type="application/octet-stream", headers=bearer(ticket), **{"wsgi.input_terminated": True}
    )


def ticket_of(wire: Client, cast: Cast, name: str = "alice", path: str = f"models/alice/notes/{WRITE}") -> str:
    answer = ask(wire, path, cast.token(name))
    assert answer.status_code == 200, answer.content
    return answer.json()["accessToken"]


@pytest.mark.parametrize("rev", ["main", "None", "refs%2Fpr%2F1", "refs/pr/1", "feature/x"])
def test_a_ticket_says_the_same_in_json_and_headers(wire, cast, settings, rev: str) -> None:
    cast.repository("alice/notes")
    proposed = {"title": "Train again", "pullRequest": True}  # refs/pr/1
    wire.post("/api/models/alice/notes/discussions", proposed, "application/json", headers=bearer(cast.token("alice")))
    settings.PUBLIC_URL = "https://hub.example.org"
    answer = ask(
        wire, f"models/alice/notes/{WRITE}", cast.token("alice"), rev + ("" if "pr" in rev else "?create_pr=1")
    )
    body = answer.json()
    store = tickets.store_name(Scope.WRITE, cast.session("alice"))
    assert body["casUrl"] == answer["X-Xet-Cas-Url"] == f"https://hub.example.org/xet/at/{store}"
    assert body["accessToken"] == answer["X-Xet-Access-Token"]
    assert str(body["exp"]) == answer["X-Xet-Token-Expiration"]
    assert time.time() + 600 < body["exp"] < time.time() + 3601
    assert answer["Cache-Control"] == "no-store"


def test_bytes_go_to_the_host_that_the_client_used_if_it_is_ours(wire, cast, settings) -> None:
    cast.repository("alice/notes")
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://hub.example.org", ["lan.example"]
    path, headers = f"/api/models/alice/notes/{WRITE}/main", bearer(cast.token("alice"))
    answer = wire.get(path, headers=headers | {"Host": "lan.example:9000"}).json()
    assert answer["casUrl"].startswith("http://lan.example:9000/xet/at/")


def test_another_hub_at_the_same_address_has_an_address_of_its_own(wire, cast, settings) -> None:
    """Clients remember by it what they have sent: a hub that was begun anew must get everything once more."""
    cast.repository("alice/notes")
    settings.SECRET_KEY = "of one hub " * 5
    one, again = (ask(wire, f"models/alice/notes/{WRITE}", cast.token("alice")).json() for _ in range(2))
    settings.SECRET_KEY = "of another " * 5
    other = ask(wire, f"models/alice/notes/{WRITE}", cast.token("alice")).json()
    assert one["casUrl"] == again["casUrl"] != other["casUrl"]
    assert settings.SECRET_KEY not in other["casUrl"]


def test_two_people_at_one_machine_send_to_addresses_of_their_own(wire, cast) -> None:
    """Their clients share a memory by address, and a shard may name only what its sender has sent."""
    notes = f"models/acme/notes/{WRITE}"
    cast.repository("acme/notes")
    alice, bob = (ask(wire, notes, cast.token(name)).json()["casUrl"] for name in ("alice", "bob"))
    assert alice != bob
    assert ask(wire, notes, cast.token("alice")).json()["casUrl"] == alice, "whichever token she uses"


def test_datasets_have_tickets_too(wire, cast) -> None:
    cast.repository("alice/rows", type="dataset")
    assert ask(wire, f"datasets/alice/rows/{WRITE}", cast.token("alice")).status_code == 200
    assert ask(wire, f"models/alice/rows/{WRITE}", cast.token("alice")).status_code == 404


@pytest.mark.parametrize(
    ("name", "role", "kind", "status"),
    [
        ("alice", "write", WRITE, 200),
        ("alice", "read", WRITE, 403),
        ("alice", "read", READ, 200),
        ("carol", "write", WRITE, 403),
        ("carol", "write", READ, 200),
        (None, "", WRITE, 401),
        (None, "", READ, 200),
    ],
)
def test_who_gets_a_ticket_for_a_public_adapter(wire, cast, name, role, kind, status) -> None:
    cast.repository("alice/notes")
    answer = ask(wire, f"models/Alice/NOTES/{kind}", cast.token(name, role) if name else None)
    assert answer.status_code == status
    assert ("X-Xet-Access-Token" in answer) is (status == 200)


def test_a_private_adapter_looks_like_none(wire, cast) -> None:
    cast.repository("alice/secret", private=True)
    token = cast.token("carol")
    private, absent = (ask(wire, f"models/alice/{name}/{READ}", token) for name in ("secret", "absent"))
    assert private.status_code == absent.status_code == 404
    assert private["X-Error-Code"] == absent["X-Error-Code"] == "RepoNotFound"
    assert private.content.replace(b"secret", b"absent") == absent.content
    private, absent = (ask(wire, f"models/alice/{name}/{WRITE}") for name in ("secret", "absent"))
    assert private.status_code == absent.status_code == 401
    assert private["X-Error-Code"] == absent["X-Error-Code"] == "RepoNotFound"
    assert private.content.replace(b"secret", b"absent") == absent.content


def test_a_session_gets_no_ticket_to_write(wire, cast) -> None:
    cast.repository("alice/notes")
    wire.force_login(cast["alice"])
    assert ask(wire, f"models/alice/notes/{WRITE}").status_code == 401


def test_a_xorb_and_a_shard_are_taken(wire, cast) -> None:
    notes = cast.repository("alice/notes")
    ticket = ticket_of(wire, cast)
    answer = post(wire, f"/xet/v1/xorbs/default/{CLIENT_NAME}", CLIENT_XORB, ticket)
    assert (answer.status_code, answer.json()) == (200, {"was_inserted": True})
    again = post(wire, f"/xet/v1/xorbs/default/{CLIENT_NAME}", CLIENT_XORB, ticket)
    assert again.content == answer.content  # that it was here already is told to nobody
    for path in ("/xet/v1/shards", "/xet/shards"):  # the second is where hf_xet 1.5 sends it
        answer = post(wire, path, CLIENT_SHARD, ticket)
        assert (answer.status_code, answer.json()) == (200, {"result": 1})
    assert notes.uploaded_blobs.count() >= 4


@pytest.mark.parametrize("path", [f"/xet/v1/xorbs/default/{CLIENT_NAME}", "/xet/v1/shards"])
def test_what_is_no_valid_ticket_opens_nothing(wire, cast, path: str) -> None:
    notes = cast.repository("alice/notes")
    token = Token.objects.get(sha256=tokens.digest(cast.token("alice")))
    bound = {"repository": notes.pk, "scope": "write", "token": token.pk}
    right = ticket_of(wire, cast)
    for value in ("", "x", right[:-1], right + "x", signing.dumps(bound, salt="another"), cast.token("alice")):
        answer = post(wire, path, CLIENT_XORB, value)
        assert (answer.status_code, answer.json()["code"]) == (401, "token-invalid")
    wrong_scheme = wire.post(path, b"x", content_type="x/y", headers={"Authorization": f"Basic {right}"})
    assert wrong_scheme.status_code == 401


def test_a_ticket_expires(wire, cast, monkeypatch) -> None:
    cast.repository("alice/notes")
    ticket = ticket_of(wire, cast)
    monkeypatch.setattr(tickets, "SECONDS", -1)
    assert post(wire, "/xet/v1/shards", CLIENT_SHARD, ticket).status_code == 401


def test_a_ticket_to_read_does_not_write(wire, cast) -> None:
    cast.repository("alice/notes")
    ticket = ticket_of(wire, cast, path=f"models/alice/notes/{READ}")
    answer = post(wire, "/xet/v1/shards", CLIENT_SHARD, ticket)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")


def test_a_ticket_ends_with_the_rights_behind_it(wire, cast) -> None:
    router = cast.repository("acme/router", private=True)
    ticket = ticket_of(wire, cast, "bob", f"models/acme/router/{WRITE}")
    path = f"/xet/v1/xorbs/default/{CLIENT_NAME}"
    assert post(wire, path, CLIENT_XORB, ticket).status_code == 200

    Membership.objects.filter(user=cast["bob"]).delete()
    assert post(wire, path, CLIENT_XORB, ticket).status_code == 404
    organizations.set_member(cast.acme, cast["bob"], "write", by=cast["alice"])

    quarantine.quarantine(router, cast.session("mona"), reason="malware")
    answer = post(wire, path, CLIENT_XORB, ticket)
    assert (answer.status_code, answer.json()["code"]) == (403, "adapter-quarantined")
    answer = ask(wire, f"models/acme/router/{WRITE}", cast.token("bob"))
    assert answer["X-Error-Message"] == "Access to this resource is disabled."  # hf raises DisabledRepoError for it
    assert ask(wire, f"models/acme/router/{READ}", cast.token("carol")).status_code == 404
    quarantine.release(router, cast.session("mona"), reason="a mistake")

    Token.objects.filter(user=cast["bob"]).delete()
    assert post(wire, path, CLIENT_XORB, ticket).status_code == 401


def test_a_ticket_is_worth_nothing_while_a_required_second_factor_is_missing(wire, cast) -> None:
    router = cast.repository("acme/router", private=True)
    organizations.set_member(cast.acme, cast["bob"], "write", by=cast["alice"])
    ticket = ask(wire, f"models/{router.full_name}/{WRITE}", cast.token("bob")).json()["accessToken"]
    Authenticator.objects.create(user=cast["alice"], type="totp", data={"secret": "x"})
    organizations.require_second_factor(cast.acme, True, cast.session("alice"))
    assert post(wire, "/xet/v1/shards", b"x", ticket).status_code == 403
    Authenticator.objects.create(user=cast["bob"], type="webauthn", data={"secret": "x"})
    assert post(wire, "/xet/v1/shards", b"x", ticket).status_code == 400


def test_a_ticket_for_a_deleted_adapter_finds_nothing(wire, cast) -> None:
    notes = cast.repository("alice/notes")
    ticket = ticket_of(wire, cast)
    notes.delete()
    assert post(wire, "/xet/v1/shards", CLIENT_SHARD, ticket).status_code == 404


def test_a_refusal_is_a_sentence_with_a_code(wire, cast) -> None:
    cast.repository("alice/notes")
    answer = post(wire, f"/xet/v1/xorbs/default/{'0' * 64}", CLIENT_XORB, ticket_of(wire, cast))
    assert (answer.status_code, answer.json()["code"]) == (400, "xorb-invalid")
    assert answer.json()["error"].startswith(f"The bytes hash to {CLIENT_NAME}, not to 000")
    assert answer.json()["detail"] in answer["X-Error-Message"]
    assert answer.json()["fix"]


@pytest.mark.parametrize("name", ["..%2F..%2Fx", "A" * 64, "0" * 63])
def test_an_address_that_is_no_hash_is_refused(wire, cast, name: str) -> None:
    cast.repository("alice/notes")
    answer = post(wire, f"/xet/v1/xorbs/default/{name}", CLIENT_XORB, ticket_of(wire, cast))
    assert answer.status_code in {400, 404}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/xet/v1/xorb-grants/default/{CLIENT_NAME}"),
        ("POST", "/xet/v2/shards"),
        ("GET", "/xet/anything/else"),
    ],
)
def test_what_is_optional_is_404_in_json(wire, db, method: str, path: str) -> None:
    answer = wire.generic(method, path, b"{}" if method == "POST" else b"")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize("path", ["/v1/telemetry", "/xet/v1/telemetry"])
def test_telemetry_is_taken_and_forgotten(wire, db, path: str) -> None:
    assert wire.post(path, b"{}", content_type="application/json").status_code == 200
