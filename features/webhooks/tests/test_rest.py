"""Webhooks over REST: each act of the website, and what it answers."""

import pytest

from features.webhooks.models import Delivery, Webhook
from registry.models import AuditEvent

URL = "/api/v1/me/webhooks"
MADE = {"url": "https://example.org/x", "watched": [{"type": "user", "name": "Alice"}], "secret": "s3cret-s3cret"}


@pytest.fixture(autouse=True)
def _no_postman(settings):
    settings.POSTMAN = "tests.api.conftest.notify_nobody"


def test_a_webhook_is_set_up_changed_tested_sent_again_and_deleted(ask_json, cast, repository):
    alice = ask_json("alice", "write")
    made = alice.post(URL, MADE)
    assert made.status_code == 201
    assert "s3cret" not in made.content.decode()
    one = made.json()
    assert (one["domains"], one["has_secret"], one["disabled"]) == (["repo", "discussion"], True, False)
    here = f"{URL}/{one['id']}"
    assert alice.get(URL).json()["items"] == [one] == [alice.get(here).json()]
    changed = alice.patch(here, {"domains": ["verdict", "repo"], "secret": ""}).json()
    assert (changed["url"], changed["watched"], changed["domains"]) == (
        MADE["url"],
        one["watched"],
        ["repo", "verdict"],
    )
    assert Webhook.objects.get().secret == ""
    sent = alice.post(f"{here}/test")
    assert sent.status_code == 202
    assert sent.json()["payload"]["event"] == {"action": "update", "scope": "ping"}
    assert sent.json()["payload"]["repo"]["name"] == "alice/reviews"
    again = alice.post(f"{here}/deliveries/{sent.json()['id']}/again").json()
    listed = alice.get(f"{here}/deliveries?limit=1").json()
    assert (again["payload"], listed["items"]) == (sent.json()["payload"], [again])
    assert [row["id"] for row in alice.get(listed["next"]).json()["items"]] == [sent.json()["id"]]
    alice.patch(here, {"disabled": True})
    refused = alice.post(f"{here}/test").json()
    assert (refused["code"], refused["fix"]) == ("value-invalid", "Enable it first.")
    assert alice.delete(here).status_code == 204
    assert not Delivery.objects.exists()
    acts = ["webhook:create", "webhook:change", "webhook:disable", "webhook:delete"]
    assert (
        list(AuditEvent.objects.filter(action__startswith="webhook").order_by("pk").values_list("action", flat=True))
        == acts
    )


def test_a_webhook_of_somebody_else_is_one_that_never_was(ask_json, cast, repository):
    number = ask_json("alice", "write").post(URL, MADE).json()["id"]
    bob = ask_json("bob", "write")
    for method, below in (("get", ""), ("patch", ""), ("delete", ""), ("post", "/test"), ("get", "/deliveries")):
        answers = [getattr(bob, method)(f"{URL}/{one}{below}") for one in (number, 999)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    assert bob.get(URL).json()["items"] == []


def test_a_test_needs_something_that_its_owner_sees(ask_json, cast):
    cast.repository("acme/hidden", private=True)
    carol = ask_json("carol", "write")
    watched = [{"type": "model", "name": "acme/hidden"}, {"type": "model", "name": "acme/never"}]
    one = carol.post(URL, MADE | {"watched": watched}).json()
    refused = carol.post(f"{URL}/{one['id']}/test")
    assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("change", [{"url": "http://10.0.0.1/"}, {"watched": []}, {"domains": ["x"]}, {"job": {}}])
def test_a_change_that_cannot_be_changes_nothing(ask_json, cast, change):
    alice = ask_json("alice", "write")
    one = alice.post(URL, MADE).json()
    here = f"{URL}/{one['id']}"
    assert alice.patch(here, change | {"disabled": True}).status_code == 400
    assert alice.get(here).json() == one
