"""The operator's switches: uploads off, no new repositories, and the whole hub read-only, as clients see them."""

import time
from pathlib import Path

import pytest
from django.test import Client as Browser

from hub.read_only import TAKEN
from registry.kernel import site_settings
from registry.models import Repository, SiteSetting, Token, User
from tests.adapters import MINILM, lora, write
from tests.cast import PASSWORD
from tests.clients import Client
from tests.hf.wire import file, header, lfs_file
from tests.live import TOKENS, Hub

FULL = "alice/reviews"
FOLLOW_SECONDS = site_settings.FOLLOW_SECONDS  # of a running hub: within a test of this process it has no end


def turn(name: str, value: str) -> None:
    site_settings.change_setting(name, value, None)


@pytest.fixture
def reviews(cast) -> Repository:
    return cast.repository(FULL)


def test_uploads_off_refuses_each_road_of_bytes_and_nothing_else(wire, reviews, cast):
    turn("uploads", "off")
    for refused in (
        wire.commit(FULL, header(), file("a.txt")),
        wire.ask("POST", f"/api/models/{FULL}/preupload/main", {"files": [{"path": "a.txt", "size": 1, "sample": ""}]}),
        wire.offer(FULL, b"bytes"),
        wire.get(f"/api/models/{FULL}/xet-write-token/main"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "uploads-off"), refused.content
        assert "does not accept uploads" in refused["X-Error-Message"]
    assert wire.get(f"/api/models/{FULL}").status_code == 200
    assert wire.ask("POST", "/api/repos/create", {"name": "more"}).status_code == 200


def test_a_ticket_from_before_takes_no_bytes_once_uploads_are_off(wire, reviews):
    offered = wire.offer(FULL, b"bytes").json()["objects"][0]["actions"]["upload"]["href"]
    turn("uploads", "off")
    assert wire.put(offered, b"bytes").json()["code"] == "uploads-off"


def test_no_new_repositories_leaves_those_that_exist_alone(wire, reviews):
    turn("new_repositories", "off")
    refused = wire.ask("POST", "/api/repos/create", {"name": "another"})
    assert (refused.status_code, refused.json()["code"]) == (403, "new-repositories-off")
    assert wire.commit(FULL, header(), file("a.txt")).status_code == 200
    copy = wire.ask("POST", f"/api/models/{FULL}/duplicate", {"repository": "alice/copy"})
    assert copy.json()["code"] == "new-repositories-off"


WRITES = [
    ("POST", "/api/repos/create", {"name": "another"}),
    ("DELETE", "/api/repos/delete", {"name": "reviews"}),
    ("PUT", f"/api/models/{FULL}/settings", {"private": True}),
    ("POST", f"/api/models/{FULL}/preupload/main", {"files": []}),
    ("POST", f"/api/models/{FULL}/discussions", {"title": "x", "description": "y"}),
    ("POST", f"/api/models/{FULL}/tag/main", {"tag": "v1"}),
    ("POST", "/api/collections", {"title": "x", "namespace": "alice"}),
    ("POST", "/api/settings/webhooks", {}),
    ("POST", f"/api/v1/adapters/{FULL}/revisions/main/validate", {}),
    ("PUT", "/api/v1/organizations/acme/members/carol", {"role": "read"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_read_only_hub_refuses_every_write(wire, reviews, method, path, body):
    turn("read_only", "on")
    refused = wire.ask(method, path, body)
    assert (refused.status_code, refused.json()["code"]) == (503, "hub-read-only"), refused.content
    assert int(refused["Retry-After"]) > 0
    assert "read-only" in str(refused.json().get("error") or refused.json()["detail"])
    reviews.refresh_from_db()
    assert (Repository.objects.count(), reviews.private) == (1, False)


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_write_asks_anew_whether_another_process_made_the_hub_read_only(wire, reviews, method, path, body):
    assert site_settings.get_setting("read_only") == "off"
    SiteSetting.objects.create(name="read_only", value="on")  # as another process does
    assert site_settings.get_setting("read_only") == "off", "this one keeps what it read"
    assert wire.ask(method, path, body).json()["code"] == "hub-read-only"
    assert site_settings.get_setting("read_only") == "on"


def test_registration_that_another_process_closed_makes_no_account(client, db):
    assert client.get("/join").status_code == 200
    SiteSetting.objects.create(name="registration", value="closed")
    fields = {"username": "eve", "email": "", "password1": "a-long-pass-word-1", "password2": "a-long-pass-word-1"}
    client.post("/join", fields)
    assert not User.objects.filter(username="eve").exists()


def test_questions_do_not_ask_the_database_again(wire, reviews, monkeypatch):
    monkeypatch.setattr(site_settings, "read_again", None)
    asked = wire.ask("POST", f"/api/models/{FULL}/paths-info/main", {"paths": [".gitattributes"]})
    assert asked.json()[0]["path"] == ".gitattributes"


def test_a_read_only_hub_takes_no_bytes_and_gives_all(wire, reviews):
    commit = wire.commit(FULL, header(), file("a.txt", b"hello"))
    assert commit.status_code == 200
    turn("read_only", "on")
    for refused in (
        wire.commit(FULL, header(), lfs_file("b.bin", b"x")),
        wire.offer(FULL, b"bytes"),
        wire.get(f"/api/models/{FULL}/xet-write-token/main"),
    ):
        assert refused.json()["code"] == "hub-read-only"
    assert wire.get(f"/{FULL}/resolve/main/a.txt").status_code == 200
    asked = wire.ask("POST", f"/api/models/{FULL}/paths-info/main", {"paths": ["a.txt"]})
    assert asked.json()[0]["path"] == "a.txt"
    assert wire.get(f"/api/models/{FULL}/xet-read-token/main").status_code == 200


def test_signing_in_and_revoking_work_while_the_hub_is_read_only(cast, reviews):
    value = cast.token("alice")
    turn("read_only", "on")
    mona = Browser()
    answer = mona.post("/login", {"username": "mona", "password": PASSWORD})
    assert answer.status_code == 302
    assert mona.post("/api/credentials/revoke", {"credentials": [value]}, "application/json").status_code == 202
    assert not Token.objects.exists()
    refused = mona.post("/settings/profile", {"full_name": "Mona"})
    assert (refused.status_code, refused["Retry-After"]) == (503, "300")
    assert "read-only" in refused.content.decode()
    turn("read_only", "off")
    assert mona.post("/settings/profile", {"full_name": "Mona"}).status_code == 200


@pytest.mark.parametrize("path", ["loginx", "api/v1/moderationx/a", "api/v1/fit/more", "administrator", "a/b.git/x"])
def test_only_whole_addresses_are_taken(path):
    assert not TAKEN.match(path)


# --- the banner and the state over REST ------------------------------------------------------------------------------
def test_the_state_of_the_hub_is_told_over_rest(cast, client):
    site = client.get("/api/v1/site").json()
    assert (site["uploads"], site["writable"], site["banner"]) == (True, True, None)
    site_settings.change_banner(site_settings.Banner("The store is moved tonight.", "warning"), cast["ada"])
    turn("uploads", "off")
    site = client.get("/api/v1/site").json()
    assert (site["uploads"], site["banner"]["level"]) == (False, "warning")


# --- the stock client ------------------------------------------------------------------------------------------------
@pytest.fixture
def switch(live_hub: Hub):
    """Turn a switch of the running hub, and wait until all its processes follow."""

    def turn(name: str, value: str) -> None:
        code = f"from registry.kernel import site_settings as s; s.change_setting({name!r}, {value!r}, None)"
        live_hub.manage("shell", "-c", code)
        time.sleep(FOLLOW_SECONDS + 0.5)

    turned = []

    def turn_for_this_test(name: str, value: str) -> None:
        turned.append(name)
        turn(name, value)

    yield turn_for_this_test
    for name in turned:
        turn(name, "off" if name == "read_only" else "on")


@pytest.mark.merge
def test_the_stock_client_shows_why_it_may_not_upload(live_hub: Hub, switch, tmp_path: Path):
    alice = Client("2.4.0", live_hub.url, TOKENS["alice"], tmp_path / "home")
    folder = write(lora(MINILM, rank=4, seed=7), tmp_path / "adapter")
    alice.hf("upload", "alice/switched", folder)
    for name, value, words, full_name in (
        ("uploads", "off", "does not accept uploads", "alice/switched"),
        ("new_repositories", "off", "does not accept new repositories", "alice/not-yet"),
        ("read_only", "on", "is read-only", "alice/switched"),
    ):
        switch(name, value)
        (folder / "README.md").write_text(f"{name}\n")
        refused = alice.try_hf("upload", full_name, folder)
        assert refused.returncode != 0
        assert words in refused.stdout + refused.stderr, (name, refused.stdout, refused.stderr)
        assert "Traceback" not in refused.stderr
    alice.hf("download", "alice/switched", "--local-dir", tmp_path / "back")
    assert (tmp_path / "back" / "adapter_config.json").exists()
