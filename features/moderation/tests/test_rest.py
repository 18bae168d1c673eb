"""Quarantine, release and suspension over REST."""

import pytest
from django.test import Client

from registry.kernel import site_settings
from registry.models import User
from tests.cast import PASSWORD

AT = "/api/v1/moderation/adapters/alice/reviews"
WHY = {"reason": "It carries a pickle.", "note": "Seen by a reader."}


def test_a_quarantine_and_a_release_say_whether_they_changed_something(ask, repository):
    held = ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()
    assert held["changed"] is True
    assert held["quarantined_at"]
    assert ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()["changed"] is False
    assert ask("mona").post(f"{AT}/release", WHY, "application/json").json()["quarantined_at"] is None


def test_a_hub_that_is_read_only_takes_it(ask, repository):
    site_settings.change_setting("read_only", "on", None)
    assert ask("mona").post(f"{AT}/quarantine", WHY, "application/json").json()["changed"]


def test_a_ruling_needs_a_reason_and_reaches_one_revision_alone_where_it_is_named(ask, repository):
    assert ask("mona").post(f"{AT}/quarantine", {}, "application/json").json()["code"] == "value-invalid"
    assert ask("mona").post(f"{AT}/quarantine", {"reason": "  "}, "application/json").json()["code"] == "value-invalid"
    partly = ask("mona").post(f"{AT}/quarantine", WHY | {"revision": "main"}, "application/json")
    assert (partly.status_code, partly.json()["changed"]) == (200, True)
    repository.refresh_from_db()
    assert not repository.is_quarantined


MODERATION = [
    ("anonymous", "", 401),
    ("carol", "", 403),
    ("alice", "", 403),
    ("mona", "", 200),
    ("ada", "", 200),
    ("mona", "write", 403),
]


@pytest.mark.parametrize(("who", "token", "status"), MODERATION)
def test_moderation_is_for_moderators_in_a_session(ask, repository, who, token, status):
    asking, why = ask(who, token), {"reason": "It carries a pickle."}
    for verb in ("quarantine", "release"):
        url = f"/api/v1/moderation/adapters/alice/reviews/{verb}"
        assert asking.post(url, why, "application/json").status_code == status
    missing = asking.post("/api/v1/moderation/adapters/alice/nothing/release", why, "application/json")
    assert missing.status_code == (404 if status == 200 else status), "who may not moderate learns nothing"


def test_a_suspension_by_rest_needs_the_password_of_the_last_minutes_and_its_end_does_not(cast):
    address, body = "/api/v1/moderation/users/dave/suspend", {"reason": "It opens a reverse shell."}
    remembered, fresh = Client(), Client()
    remembered.force_login(cast["mona"])
    refused = remembered.post(address, body, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication-required")
    assert User.objects.get(username="dave").is_active
    assert fresh.post("/login", {"username": "mona", "password": PASSWORD}).status_code == 302
    answer = fresh.post(address, body, "application/json")
    assert answer.json() == {"name": "dave", "suspended": True, "until": None, "changed": True}
    assert not User.objects.get(username="dave").is_active
    answer = remembered.post(address.replace("suspend", "unsuspend"), body, "application/json")
    assert answer.json() == {"name": "dave", "suspended": False, "until": None, "changed": True}
