"""Tokens of the directory, made on a page: shown once, used, ended; the one of the environment works beside them."""

import pickle
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from features.sso import tokens
from features.sso.models import DirectoryToken
from registry.models import AuditEvent
from registry.people.tokens import tokens as leaks
from registry.talk import dispatch
from tests.api.conftest import FILES, judged, pushed
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
    assert "no directory can connect" in ada.get(PAGE).content.decode()
    events = AuditEvent.objects.filter(action__startswith="directory-token").order_by("pk")
    assert list(events.values_list("actor", "action", "object")) == [
        ("ada", "directory-token:create", f"Entra <ID> ({value[:10]}…)"),
        ("ada", "directory-token:revoke", f"Entra <ID> ({value[:10]}…)"),
    ]


def test_a_token_ends_on_its_day_and_the_setting_works_beside_it(settings, cast):
    value = tokens.create("Entra", 2, cast.session("ada"))
    settings.SCIM_TOKEN = "the-operator-has-set-this-one-here"
    assert (scim(value), scim(settings.SCIM_TOKEN)) == (200, 200)
    assert abs(DirectoryToken.objects.get().expires_at - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)
    DirectoryToken.objects.update(expires_at=timezone.now())
    assert (scim(value), scim(settings.SCIM_TOKEN)) == (401, 200)


def test_making_one_asks_for_the_password_first(cast):
    stale = Client()
    stale.force_login(cast["ada"])
    asked = stale.post(PAGE, {"name": "Entra", "days": "9"}, headers={"referer": f"http://testserver{PAGE}"})
    assert asked["Location"].startswith("/settings/security/confirm?")
    assert not DirectoryToken.objects.exists()


def test_terms_that_cannot_be(ada, monkeypatch):
    for change in ({"name": ""}, {"days": "0"}, {"days": "732"}, {"days": ""}):
        assert ada.post(PAGE, {"name": "Entra", "days": "9", **change}).status_code == 400, change
    monkeypatch.setattr(tokens, "MAX_TOKENS", 1)
    assert ada.post(PAGE, {"name": "Entra", "days": "9"}).status_code == 200
    assert ada.post(PAGE, {"name": "Okta", "days": "9"}).status_code == 403
    assert DirectoryToken.objects.count() == 1


@pytest.mark.parametrize("who", ["anonymous", "carol", "alice", "mona"])
def test_for_others_the_page_does_not_exist(visit, cast, who):
    tokens.create("Entra", 9, cast.session("ada"))
    client = visit(who)
    number = DirectoryToken.objects.get().pk
    for answer in (
        client.get(PAGE),
        client.post(PAGE, {"name": "x", "days": "9"}),
        client.post(f"{PAGE}/{number}/revoke"),
    ):
        assert answer.status_code == 404
    assert DirectoryToken.objects.count() == 1


@pytest.mark.django_db
def test_the_token_of_a_directory_in_a_version_is_revoked(cast):
    value = tokens.create("Entra", 30, cast.session("ada"))
    files = {**FILES, "README.md": f"SCIM_TOKEN={value}\n".encode()}
    where = {"file": "README.md"}
    check = {"id": "privacy.secret", "outcome": "warned", "message": "No.", "fix": "", "where": where}
    judged(pushed(cast, cast.repository("alice/leaky"), files=files), checks=[check])
    dispatch.run()
    assert not tokens.is_directory(value)
    assert AuditEvent.objects.filter(action="directory-token:revoke").count() == 1


@pytest.mark.django_db
def test_a_push_revokes_the_token_of_a_directory_beside_those_of_people_and_administrators_are_told(cast):
    """They alone, and without the place, which they may not see."""
    notes = cast.repository("bob/notes", by="bob", private=True, type="dataset")
    values = [cast.token("bob"), tokens.create("Entra", 30, cast.session("ada"))]
    texts = {f"{number}.env": f"KEY={value}\n".encode() for number, value in enumerate(values)}
    pushed(cast, notes, by="bob", files={"README.md": b"# Notes", **texts})
    assert not tokens.is_directory(values[1])
    assert AuditEvent.objects.filter(action__in=["token:revoke", "directory-token:revoke"]).count() == 2
    dispatch.run()
    notices = pytest.importorskip("features.notify.notices")  # after the rest, which holds without it
    ends = "where others may have read it. It was revoked; create a new one."
    assert {
        (alert.user.username, notices.sentence(alert), notices.address(alert), alert.mail)
        for alert in notices.Alert.objects.filter(kind="token-leaked")
    } == {
        ("bob", f"Your token write 0 was found in 0.env and 1 more of bob/notes, {ends}", "/settings/tokens", "always"),
        ("ada", f"The token Entra of a directory was found, {ends}", "/moderation/directory", "always"),
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_token_is_recognised_in_what_torch_and_python_pickle(protocol):
    value = tokens.PREFIX + "a-_" * 14 + "x"
    assert value in leaks.candidates(pickle.dumps([value, value], protocol))
