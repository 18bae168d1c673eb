"""A person who leaves loses every road: a directory reports it by SCIM; each credential is tried before and after."""

import base64
import json

import pytest
from django.test import Client

from registry.models import AuditEvent, Token, User
from registry.moderation import suspension
from registry.people import accounts, devices, tokens
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
    started = devices.begin_sign_in("hf")
    devices.approve(started.user_code, "write", cast.session("bob"))
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

    assert session.get("/settings").status_code != 302 or "/login" not in session.get("/settings")["Location"]
    assert [reach(value) for value in values.values()] == [200, 200, 200]
    assert reach(values["write"], basic=True) == 200
    assert scim("PATCH", f"Users/{bob.pk}", patch("False")).json()["active"] is False
    assert session.get("/settings")["Location"].startswith("/login")
    assert [reach(value) for value in values.values()] == [401, 401, 401]
    assert reach(values["write"], basic=True) == 401
    assert Client().post("/login", {"username": "bob", "password": PASSWORD}).status_code == 400
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": started.device_code}
    assert Client().post("/oauth/token", form).status_code == 400
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
    assert scim("POST", "Users", []).status_code == 400
    for token in ("", "wrong", cast.token("ada")):
        assert scim("GET", "Users", token=token).status_code == 401
    assert visit("ada").get("/scim/v2/Users").status_code == 401, "a session is not enough"
    settings.SCIM_TOKEN = ""
    assert scim("GET", "Users", token="").status_code == 404
