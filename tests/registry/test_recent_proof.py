"""Every route that gives a credential or a right asks a session for a recent proof, and gives nothing without it.

A new one fails here until it asks: its table of rights must be in RIGHTS, its route marked `+proof` where routes are
listed (test_routes.py), and a row of GIVING must show that it gives something with a proof and nothing without.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from registry.models import Organization, User
from tests.cast import Cast, signed_in
from tests.of_features import rows as of_features
from tests.registry.test_routes import known_fields, lines, path_of, plain, rows
from tests.sweep import sweep

# --- what gives rights -----------------------------------------------------------------------------------------------
# The columns of each table that say who may do what; those in the second place are rights only with these values.
RIGHTS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    "Authenticator": (("user", "type"), {}),
    "DeviceLogin": (("user", "role"), {"state": "approved"}),
    "DirectoryToken": (("sha256", "expires_at"), {}),
    "Invitation": (("organization", "user", "role"), {"state": "open"}),
    "JoinLink": (("organization", "role", "sha256"), {}),
    "Membership": (("organization", "user", "role", "grants"), {}),
    "Organization": (("pk",), {"requires_second_factor": False}),
    "SocialAccount": (("user", "provider", "uid"), {}),
    "TeamGrant": (("team", "type", "pattern", "role"), {}),
    "TeamMember": (("team", "membership"), {}),
    "Token": (("user", "role", "grants", "expires_at"), {}),
    "TrustedPublisher": (("namespace", "repository", "issuer", "claims"), {}),
    "User": (("username", "kind", "role"), {}),
    "Webhook": (("owner", "url", "secret"), {}),
}
NO_RIGHTS = {
    "AuditEvent": "tells of acts",
    "ProcessReport": "tells what a process uses",
    "PublishingRun": "tells of the token that an identity token was changed for",
    "SignInPlace": "where somebody signed in from",
    "SocialApp": "of the settings; the table stays empty",
    "Upload": "bytes on the way",
}
WORDS = {"secret", "role", "claims", "grants"}


def test_every_table_of_rights_is_known():
    found = set()
    for model in apps.get_models():
        fields = {field.name: field.related_model for field in model._meta.get_fields() if field.concrete}
        if WORDS & fields.keys() or ("sha256" in fields and User in fields.values()):
            found.add(model.__name__)
    assert found <= RIGHTS.keys() | NO_RIGHTS.keys(), "say in RIGHTS which of its columns give rights, or why none does"


def rights() -> set[tuple[str, str]]:
    """Return every right that somebody has."""
    models = {model.__name__: model for model in apps.get_models()}
    found = set()
    for name, (columns, condition) in RIGHTS.items():
        if name in models:
            for row in models[name]._default_manager.filter(**condition).values_list("pk", *columns):
                found.add((name, json.dumps(row, default=str, sort_keys=True)))
    return found


# --- which routes ----------------------------------------------------------------------------------------------------
MARKED = {
    (line.split()[0].replace("{of}", ""), method)
    for line in lines()
    for method, permission in zip(line.split()[1::2], line.split()[2::2], strict=True)
    if permission.endswith("+proof")
}
GIVES = {"POST", "PUT", "PATCH"}


def asking(patterns: list, prefix: str = "") -> set[str]:
    """Return the addresses whose views ask for a proof."""
    found = set()
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and address != "admin/":
            found |= asking(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            view: Any = pattern.callback
            if getattr(view, "asks_for_proof", False) or getattr(view, "initkwargs", {}).get("asks_for_proof"):
                found.add(plain(address.replace("<repository:address>", "<ns>/<name>")))
    return found


def test_the_table_of_routes_says_which_ask_for_a_proof():
    reading = {"settings/security/recovery-codes"}  # its page alone: nothing is sent to it
    assert asking(get_resolver().url_patterns) - reading == {address for address, _ in MARKED}


# --- who may, the route, and what is sent; a proof is asked for before any of it is looked at ------------------------
Body = dict[str, object]
Row = tuple[str, str, str, Body]
ADDRESS = "organizations/<ns>/settings"
REST = "api/v1/organizations/<org>"
GIVING: list[Row] = [
    ("alice", "POST", "settings/tokens", {"name": "laptop", "role": "write"}),
    ("alice", "POST", f"{ADDRESS}/invite", {"username": "carol", "role": "write"}),
    ("alice", "POST", f"{ADDRESS}/role", {"username": "erin", "role": "admin"}),
    ("alice", "POST", f"{ADDRESS}/details/second-factor", {"requirement": "optional"}),
    ("ada", "POST", "settings/invitations", {"uses": "1", "days": "7"}),
    ("alice", "POST", "api/v1/me/tokens", {"name": "laptop", "role": "write"}),
    ("alice", "PATCH", REST, {"second_factor_required": False}),
    ("alice", "PUT", f"{REST}/members/<user>", {"role": "admin"}),
    ("alice", "PUT", f"{REST}/invitations/carol", {"role": "write"}),
    *of_features("GIVING"),
]
# Routes that ask for a proof and give nobody a right: what they do cannot be undone, or takes a protection away.
DANGEROUS = {
    *("settings/account/delete", "settings/account/address"),
    "settings/repositories/<number>/delete",
    # allauth's pages of second factors, and the provider that a browser is sent to: test_second_factor.py, sso
    *("settings/security/app", "settings/security/app/remove", "settings/security/recovery-codes/new"),
    *("settings/security/passkeys/add", "settings/security/passkeys/<pk>/rename"),
    "settings/security/passkeys/<pk>/remove",
    *of_features("DANGEROUS"),
}


def as_routed(address: str) -> str:
    return address.replace("/invitations/carol", "/invitations/<user>")


def test_every_route_that_asks_for_a_proof_has_a_row():
    given = {(as_routed(address), method) for _, method, address, _ in GIVING}
    assert given | {(address, "POST") for address in DANGEROUS} == MARKED


@pytest.fixture
def world(everybody: Callable[[], Cast], db: None, settings: Any, tmp_path: Any) -> Any:
    """Everybody, an adapter, and what features add."""
    with override_settings(BLOBS=f"file://{tmp_path / 'blobs'}", DOORBELL="tests.registry.test_upkeep.notify"):
        cast = everybody()
        cast.repository("acme/public")
        for furnish in of_features("FURNISH"):
            furnish(cast)
        yield cast


def send(client: Client, method: str, address: str, body: Body) -> Any:
    """Send a form to a page, JSON to REST."""
    path = path_of(address, "public")
    if address.startswith("api/"):
        return client.generic(method, path, json.dumps(body), content_type="application/json")
    return client.generic(method, path, urlencode(body, doseq=True), content_type="application/x-www-form-urlencoded")


def stale(user: User) -> Client:
    """Return a browser whose session tells nothing of how it began."""
    client = Client()
    client.force_login(user)
    return client


@sweep("who, method, address, body", GIVING)
def test_a_route_gives_a_right_with_a_recent_proof_and_nothing_without(world, who, method, address, body):
    if body in ({"requirement": "optional"}, {"second_factor_required": False}):
        Organization.objects.update(requires_second_factor=True)
        has_factor(world[who])
    before = rights()
    refused = send(stale(world[who]), method, address, body)
    if address.startswith("api/"):
        assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication-required")
    else:
        assert refused.status_code == 302
        assert refused["Location"].startswith("/settings/security/confirm")
    assert rights() == before
    client = signed_in(Client(), world[who], second_factor=True)
    answer = send(client, method, address, body)
    assert answer.status_code in {200, 201, 204, 302}, answer.content[:500]
    assert "/confirm" not in answer.get("Location", "")
    assert rights() - before, answer.content.decode()[:2000]


def has_factor(user: User) -> None:
    """Let somebody have a second factor; its secret is never asked for."""
    apps.get_model("mfa", "Authenticator").objects.create(user=user, type="totp", data={})


@sweep("who, method, address, body", GIVING)
def test_a_token_is_never_asked_for_a_proof(world, who, method, address, body):
    if not address.startswith("api/"):
        return
    client = Client(headers={"authorization": f"Bearer {world.token(who)}"})
    assert b"reauthentication" not in send(client, method, address, body).content


# Who gets a right by these routes gave it to nobody: what an administrator offered is taken, or something new is one's
# own.
TAKING = {
    "join", "join/accept", "login/with/<provider>", "organizations/new", "new", "upload",
    "settings/organizations/<ns>/accept", "api/v1/me/invitations/<org>/accept", "api/v1/organizations",
}  # fmt: skip
UNMARKED = sorted(
    {
        (address, method)
        for address, method, permission, _ in rows()
        if method in GIVES | {"DELETE"}
        and (address, method) not in MARKED
        and permission not in {"anyone", "ticket", "machine", "nothing"}
    }
    - {(address, method) for address in TAKING for method in GIVES}
)
EVERYTHING = {key: value for *_, body in GIVING for key, value in body.items()}


@sweep("address, method", UNMARKED)
def test_no_other_route_gives_a_right(world, address, method):
    """Send to each route what the others take, as who may most."""
    before = rights()
    for who in ("alice", "ada"):
        body = EVERYTHING | {"username": "carol", "role": "admin", "confirm": "x"}
        if address.startswith("api/v1/"):
            body = {name: value for name, value in body.items() if name in known_fields(address, method)}
        send(stale(world[who]), method, address, body)
    assert rights() <= before, "mark it: needs_recent_authentication(view), or as_view(asks_for_proof=True)"
