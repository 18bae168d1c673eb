"""A person who leaves loses every road: a directory reports it by SCIM; each credential is tried before and after."""

import base64
import json
from datetime import timedelta

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.kernel import site_settings
from registry.kernel.errors import NotAllowed
from registry.models import AuditEvent, SignInPlace, Token, User
from registry.models.extensions import lifted
from registry.moderation import suspension
from registry.people import accounts
from registry.people.tokens import tokens
from registry.publish import retirement
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "the-directory-of-the-tests-has-this"


@pytest.fixture
def scim(settings, cast):
    """Return a function that asks as the directory does."""
    settings.SCIM_TOKEN = TOKEN

    def ask(method: str, path: str, body: object = None, token: str = TOKEN):
        headers = {"Authorization": f"Bearer {token}"}
        data = json.dumps(body) if body is not None else ""
        return Client(enforce_csrf_checks=True).generic(
            method, f"/scim/v2/{path}", data, content_type="application/scim+json", headers=headers
        )

    return ask


def patch(active: object) -> dict:
    return {"Operations": [{"op": "Replace", "path": "active", "value": active}]}


def test_whoever_leaves_loses_every_road(scim, visit, cast):
    cast.repository("acme/secret", by="alice", private=True)
    bob, session = cast["bob"], visit("bob")
    values = {role: cast.token("bob", role) for role in ("read", "write")}
    values["fine-grained"] = cast.token("bob", "fine-grained", acme__secret="write")
    robot = accounts.create_machine("acme+deploy", User.Kind.ROBOT, cast.acme.namespace)
    robots_value = tokens.create_token(robot, "ci", "fine-grained", grants={"acme/secret": "write"})

    def reach(value: str, *, basic: bool = False) -> int:
        scheme = f"Basic {base64.b64encode(f'bob:{value}'.encode()).decode()}" if basic else f"Bearer {value}"
        path = "/acme/secret.git/info/lfs/objects/batch" if basic else "/api/models/acme/secret"
        body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "a" * 64, "size": 1}]}
        client, headers = Client(), {"Authorization": scheme}
        if basic:
            return client.post(path, body, content_type="application/json", headers=headers).status_code
        return client.get(path, headers=headers).status_code

    assert session.get("/settings/profile").status_code == 200
    assert [reach(value) for value in values.values()] == [200, 200, 200]
    assert reach(values["write"], basic=True) == 200
    assert scim("PATCH", f"Users/{bob.pk}", patch("False")).json()["active"] is False
    assert session.get("/settings/profile")["Location"].startswith("/login")
    assert [reach(value) for value in values.values()] == [401, 401, 401]
    assert reach(values["write"], basic=True) == 401
    assert Client().post("/login", {"username": "bob", "password": PASSWORD}).status_code == 400
    assert reach(robots_value) == 200, "what works for the organisation stays"
    assert not Token.objects.filter(user=bob).exists()
    assert scim("PATCH", f"Users/{bob.pk}", patch(True)).json()["active"] is True
    assert [reach(value) for value in values.values()] == [401, 401, 401], "the old tokens stay dead"
    assert Client().post("/login", {"username": "bob", "password": PASSWORD}).status_code == 302
    actions = AuditEvent.objects.filter(object="bob", action__in=["person:leave", "person:return"])
    assert list(actions.values_list("action", "credential")) == [("person:return", "scim"), ("person:leave", "scim")]


def test_a_directory_adds_finds_and_removes_people(scim, cast):
    made = scim("POST", "Users", {"userName": "Zoe@corp.example", "displayName": "Zoe"})
    assert (made.status_code, made.json()["userName"], made["Content-Type"]) == (
        201, "Zoe@corp.example", "application/scim+json",
    )  # fmt: skip
    number = made.json()["id"]
    found = scim("GET", 'Users?filter=userName eq "zoe@corp.example"').json()
    assert (found["totalResults"], found["Resources"][0]["id"]) == (1, number)
    assert scim("POST", "Users", {"userName": "zoe@CORP.example"}).json()["scimType"] == "uniqueness"
    assert scim("DELETE", f"Users/{number}").status_code == 204
    assert scim("GET", f"Users/{number}").status_code == 404
    assert scim("GET", 'Users?filter=userName eq "zoe@corp.example"').json()["totalResults"] == 0
    again = scim("POST", "Users", {"userName": "zoe@corp.example"})
    assert (again.status_code, again.json()["id"] != number) == (201, True)
    page = scim("GET", "Users?startIndex=2&count=2").json()
    assert (page["startIndex"], page["itemsPerPage"], page["totalResults"]) == (2, 2, 8)
    assert scim("GET", "ServiceProviderConfig").json()["patch"] == {"supported": True}


def test_nobody_but_the_directory_readmits_a_person_who_left(scim, cast):
    bob = cast["bob"]
    scim("PATCH", f"Users/{bob.pk}", patch(False))
    with pytest.raises(NotAllowed):
        suspension.unsuspend(User.objects.get(pk=bob.pk), cast.session("ada"), reason="a friend of mine")
    assert not User.objects.get(pk=bob.pk).is_active


def test_a_suspension_until_a_date_survives_a_departure(scim, cast):
    carol = cast["carol"]
    suspension.suspend(carol, cast.session("mona"), reason="spam", until=timezone.now() + timedelta(days=3))
    scim("PATCH", f"Users/{carol.pk}", patch(False))
    assert scim("PATCH", f"Users/{carol.pk}", patch(True)).status_code == 403
    User.objects.filter(pk=carol.pk).update(suspended_until=timezone.now())
    assert suspension.end_due() == 1
    assert not User.objects.get(pk=carol.pk).is_active, "the end of a suspension lets nobody in who left"
    assert scim("PATCH", f"Users/{carol.pk}", patch(True)).json()["active"] is True


def test_a_departure_is_known_after_the_log_was_trimmed(scim, cast):
    bob, dave = cast["bob"], cast["dave"]
    scim("PATCH", f"Users/{bob.pk}", patch(False))
    assert scim("DELETE", f"Users/{dave.pk}").status_code == 204
    with lifted(AuditEvent):
        AuditEvent.objects.all()._raw_delete(connection.alias)  # as a trim of the log leaves it
    assert not AuditEvent.objects.filter(action__in=["person:leave", "person:remove"]).exists()
    assert scim("GET", f"Users/{dave.pk}").status_code == 404
    assert scim("PATCH", f"Users/{bob.pk}", patch(True)).json()["active"] is True


def test_a_list_for_the_directory_costs_the_same_however_many_were_removed(scim, cast):
    counts = []
    for name in ("bob", "carol", "dave"):
        scim("DELETE", f"Users/{cast[name].pk}")
        with CaptureQueriesContext(connection) as queries:
            scim("GET", "Users")
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts


def test_whoever_is_hired_again_finds_no_dead_account_behind_the_identity(scim, cast):
    bob = cast["bob"]
    SocialAccount.objects.create(user=bob, provider="corp", uid="bob", extra_data={"email": bob.email})
    SignInPlace.objects.create(user=bob, sha256="a" * 64)
    scim("DELETE", f"Users/{bob.pk}")
    assert not SocialAccount.objects.exists()
    assert not SignInPlace.objects.exists()


def test_an_account_that_was_deleted_is_not_listed_and_never_comes_back(scim, cast):
    carol = cast["carol"]
    SocialAccount.objects.create(user=carol, provider="corp", uid="carol")
    retirement.delete_account(carol, with_repositories=True)
    assert not SocialAccount.objects.exists()
    assert scim("PATCH", f"Users/{carol.pk}", patch(True)).status_code == 404


@pytest.mark.parametrize("odd", ["a\0b", "\ud800"])
def test_a_directory_sends_nothing_that_cannot_be_stored(scim, cast, odd):
    for body in ({"userName": odd}, {"userName": "kim", "displayName": odd}, {"userName": "kim", "emails": [{odd: 1}]}):
        assert scim("POST", "Users", body).json()["scimType"] == "invalidValue"
    assert scim("GET", "Users?filter=userName%20eq%20%22a%00b%22").status_code == 400
    assert not User.objects.filter(username__startswith="kim").exists()


def test_a_directory_is_not_limited_but_whoever_guesses_its_token_is(scim, cast, monkeypatch):
    monkeypatch.setattr("hub.limits.time.time", lambda: 6_000_030.0)
    caches["counters"].clear()
    site_settings.change_setting("throttle", "on", None)
    statuses = [scim("GET", "Users", token="guess").status_code for _ in range(31)]
    assert statuses == [401] * 30 + [429]
    assert scim("GET", "Users", token="guess")["Retry-After"] == "30"
    good = scim("GET", "Users")
    assert (good.status_code, "RateLimit" in good) == (200, False)


def test_a_read_only_hub_takes_no_new_people_and_still_lets_people_go(scim, cast):
    site_settings.change_setting("read_only", "on", None)
    refused = scim("POST", "Users", {"userName": "kim@corp.example"})
    assert (refused.status_code, refused["Retry-After"]) == (503, "300")
    assert not User.objects.filter(email="kim@corp.example").exists()
    assert scim("PATCH", f"Users/{cast['bob'].pk}", patch(False)).json()["active"] is False
    assert scim("DELETE", f"Users/{cast['carol'].pk}").status_code == 204


def test_what_a_directory_may_not_do(scim, visit, settings, cast):
    carol, ada = cast["carol"], cast["ada"]
    suspension.suspend(carol, cast.session("mona"), reason="spam")
    assert scim("PATCH", f"Users/{carol.pk}", patch(True)).status_code == 403
    scim("PATCH", f"Users/{carol.pk}", patch(False))
    assert scim("PATCH", f"Users/{carol.pk}", patch(True)).status_code == 403, "leaving lifts no suspension"
    assert scim("PATCH", f"Users/{ada.pk}", patch(False)).status_code == 400, "the last administrator"
    for filter in ('userName sw "a"', 'password eq "x"', "userName eq", "nonsense"):
        assert scim("GET", f"Users?filter={filter}").status_code == 400, filter
    assert scim("PATCH", f"Users/{ada.pk}", patch("maybe")).status_code == 400
    assert scim("POST", "Users", {"userName": "yun", "active": "perhaps"}).status_code == 400
    assert not User.objects.filter(username="yun").exists(), "a refusal leaves nobody behind"
    assert scim("POST", "Users", []).status_code == 400
    for token in ("", "wrong", cast.token("ada")):
        assert scim("GET", "Users", token=token).status_code == 401
    assert visit("ada").get("/scim/v2/Users").status_code == 401, "a session is not enough"
    settings.SCIM_TOKEN = ""
    assert scim("GET", "Users", token="").status_code == 404
