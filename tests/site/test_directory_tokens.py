"""Tokens of the directory, made on a page: shown once, used, ended; the one of the environment works beside them."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import AuditEvent, DirectoryToken
from registry.people.tokens import directory_tokens
from tests.cast import PASSWORD

PAGE = "/moderation/directory"


def scim(value: str) -> int:
    return Client().get("/scim/v2/Users", headers={"authorization": f"Bearer {value}"}).status_code


@pytest.fixture
def ada(visit) -> Client:
    """The browser of the administrator, who has just given the password."""
    client = visit()
    client.post("/login", {"username": "ada", "password": PASSWORD})
    return client


def test_a_token_is_made_shown_once_used_and_revoked(visit, cast, ada):
    assert scim("") == 404, "no directory is expected"
    page = ada.post(PAGE, {"name": "Entra <ID>", "days": "365"}).content.decode()
    value = re.search(r"dvs_[\w-]{43}", page)[0]
    row = DirectoryToken.objects.get()
    assert (row.prefix, row.last_used_at) == (value[:10], None)
    assert value not in str(list(DirectoryToken.objects.values())), "only its digest is kept"
    assert (scim(value), scim(value[:-1]), scim(cast.token("ada"))) == (200, 401, 401)
    shown = ada.get(PAGE).content.decode()
    assert value not in shown
    assert "Entra &lt;ID&gt;" in shown
    assert f"{value[:10]}…" in shown
    assert "never used" not in shown
    assert ada.post(f"{PAGE}/{row.pk}/revoke")["Location"] == PAGE
    assert scim(value) == 404
    assert "no directory may ask" in ada.get(PAGE).content.decode()
    events = AuditEvent.objects.filter(action__startswith="directory-token").order_by("pk")
    assert list(events.values_list("actor", "action", "object")) == [
        ("ada", "directory-token:create", f"Entra <ID> ({value[:10]}…)"),
        ("ada", "directory-token:revoke", f"Entra <ID> ({value[:10]}…)"),
    ]


def test_a_token_ends_on_its_day_and_the_setting_works_beside_it(settings, cast):
    value = directory_tokens.create("Entra", 2, cast.session("ada"))
    settings.SCIM_TOKEN = "the-operator-has-set-this-one-here"
    assert (scim(value), scim(settings.SCIM_TOKEN)) == (200, 200)
    assert abs(DirectoryToken.objects.get().expires_at - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)
    DirectoryToken.objects.update(expires_at=timezone.now())
    assert (scim(value), scim(settings.SCIM_TOKEN)) == (401, 200)


def test_making_one_asks_for_the_password_first(visit, cast):
    asked = visit("ada").post(PAGE, {"name": "Entra", "days": "9"}, headers={"referer": f"http://testserver{PAGE}"})
    assert asked["Location"].startswith("/settings/security/confirm?")
    assert not DirectoryToken.objects.exists()


def test_terms_that_cannot_be(ada, monkeypatch):
    for change in ({"name": ""}, {"days": "0"}, {"days": "732"}, {"days": ""}):
        assert ada.post(PAGE, {"name": "Entra", "days": "9", **change}).status_code == 400, change
    monkeypatch.setattr(directory_tokens, "MAX_TOKENS", 1)
    assert ada.post(PAGE, {"name": "Entra", "days": "9"}).status_code == 200
    assert ada.post(PAGE, {"name": "Okta", "days": "9"}).status_code == 403
    assert DirectoryToken.objects.count() == 1


@pytest.mark.parametrize("who", ["anonymous", "carol", "alice", "mona"])
def test_for_others_the_page_does_not_exist(visit, cast, who):
    directory_tokens.create("Entra", 9, cast.session("ada"))
    client = visit(who)
    number = DirectoryToken.objects.get().pk
    for answer in (
        client.get(PAGE),
        client.post(PAGE, {"name": "x", "days": "9"}),
        client.post(f"{PAGE}/{number}/revoke"),
    ):
        assert answer.status_code == 404
    assert DirectoryToken.objects.count() == 1
