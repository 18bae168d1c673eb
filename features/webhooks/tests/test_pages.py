"""Webhooks on the website and by the Hub's routes, and what they hear of verdicts, aliases, releases, regressions."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from features.webhooks import deliveries, verbs
from features.webhooks.models import Delivery, Webhook
from features.webhooks.verbs import Wish
from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.models import AuditEvent
from registry.proof.verdicts import requests
from registry.proof.verified import aliases
from registry.talk import dispatch
from tests.api.conftest import judged, pushed, regressed
from tests.cast import Cast
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire
from tests.registry.test_gauges import number
from tests.site.test_sharing import text


@pytest.fixture(autouse=True)
def _no_postman(settings):
    settings.POSTMAN = "tests.api.conftest.notify_nobody"


def test_a_webhook_is_made_stopped_seen_and_deleted_by_forms(visit, cast, settings):
    alice = visit("alice")
    wrong = alice.post("/settings/webhooks", {"url": "http://10.0.0.1/", "watched": "acme", "domains": ["repo"]})
    assert wrong.status_code == 400
    assert "private network" in text(wrong)
    fields = {"url": "https://example.org/x", "watched": "acme alice/reviews datasets/alice/gold", "domains": ["repo"]}
    alice.post("/settings/webhooks", fields | {"secret": "s3cret-s3cret"})
    hook = Webhook.objects.get()
    watched = {(watch.type, watch.name) for watch in hook.watches.all()}
    assert watched == {("user", "acme"), ("model", "alice/reviews"), ("dataset", "alice/gold")}
    cast.repository("acme/router")
    dispatch.run()
    told = Delivery.objects.get()
    deliveries.record(deliveries.claim(told.pk), {"status": 500, "answer": "<i>broken</i>", "ms": 3})
    page = text(alice.get(f"/settings/webhooks/{hook.pk}"))
    assert "answered 500" in page
    assert "&lt;i&gt;broken" in page
    assert "s3cret" not in page + text(alice.get("/settings/webhooks"))
    alice.post(f"/settings/webhooks/{hook.pk}/deliveries/{told.pk}/again")
    assert Delivery.objects.count() == 2
    assert visit("bob").get(f"/settings/webhooks/{hook.pk}").status_code == 404
    alice.post(f"/settings/webhooks/{hook.pk}/disable")
    assert "stopped" in text(alice.get("/settings/webhooks"))
    assert visit("bob").post(f"/settings/webhooks/{hook.pk}/delete").status_code == 404
    alice.post(f"/settings/webhooks/{hook.pk}/delete")
    assert not Webhook.objects.exists()


def test_a_webhook_is_made_another_one_and_keeps_its_secret(visit, cast, settings):
    wish = Wish("https://example.org/x", [("user", "acme"), ("dataset", "alice/gold")], ["repo"], "s3cret-s3cret")
    made = verbs.create(wish, cast.session("alice"))
    alice, here = visit("alice"), f"/settings/webhooks/{made.pk}"
    page = text(alice.get(here))
    assert 'value="acme datasets/alice/gold"' in page
    assert "hmac.compare_digest" in page
    assert "s3cret" not in page
    form = {"url": "https://example.org/y", "watched": "alice", "domains": ["discussion", "verdict"]}
    assert alice.post(f"{here}/change", form).url == here
    changed = Webhook.objects.get()
    assert (changed.url, changed.domains, changed.secret) == (form["url"], form["domains"], "s3cret-s3cret")
    wrong = alice.post(f"{here}/change", form | {"url": "http://127.0.0.1/"})
    assert wrong.status_code == 400
    assert 'role="alert"' in text(wrong)
    assert visit("bob").post(f"{here}/change", form).status_code == 404
    assert Webhook.objects.get().url == form["url"]


def test_a_delivery_of_anothers_webhook_cannot_be_repeated(visit, cast, settings):
    for who in ("alice", "bob"):
        verbs.create(Wish("https://example.org/", [("user", "acme")], []), cast.session(who))
    cast.repository("acme/router")
    dispatch.run()
    theirs = Delivery.objects.get(webhook__owner=cast["bob"])
    mine = Webhook.objects.get(owner=cast["alice"])
    assert visit("alice").post(f"/settings/webhooks/{mine.pk}/deliveries/{theirs.pk}/again").status_code == 404


def test_the_settings_lead_to_them_and_their_form_needs_its_secret(visit, cast):
    verbs.set_disabled(hook(cast), True)
    page = text(visit("alice").get("/settings/tokens"))
    assert page.count('href="/settings/webhooks"') == 1
    assert visit("alice").get("/settings/webhooks").status_code == 200
    assert visit("alice", enforce_csrf_checks=True).post("/settings/webhooks", {}).status_code == 403


def hook(cast: Cast, *domains: str) -> Webhook:
    return verbs.create(Wish("https://example.org/x", [("user", "alice")], domains), cast.session("alice"))


def heard() -> list[dict]:
    """Return the payloads of what was told since the last time."""
    dispatch.run()
    told = [row.payload for row in Delivery.objects.order_by("pk")]
    Delivery.objects.all().delete()
    return told


# --- what they hear of -----------------------------------------------------------------------------------------------
def test_they_hear_verdicts_of_main_where_they_asked_for_them(cast, reviews):
    dispatch.run()
    hook(cast)
    asked = hook(cast, "verdict")
    main = reviews.refs.get(name="refs/heads/main").revision
    requests.request(main, "", again=True)
    judged(main, "failed", checks=[{"id": "load.error", "outcome": "failed", "message": "m"}])
    dispatch.run()
    [delivery] = Delivery.objects.all()
    assert delivery.webhook == asked, "who names no domain hears what the Hub tells"
    assert delivery.payload["event"] == {"action": "update", "scope": "verdict"}
    said = delivery.payload["verdict"]
    assert (said["state"], said["was"], said["check"], said["number"]) == ("failed", "passed", "load.error", 2)


def test_they_hear_of_every_move_of_an_alias(cast, reviews):
    alice, first = cast.session("alice"), reviews.refs.get(name="refs/heads/main").revision
    second = pushed(cast, reviews, files={"notes.txt": b"x"})
    dispatch.run()
    hook(cast)
    for revision in (first, second):
        aliases.set_alias(reviews, "prod", revision, alice, force=True, reason="A trial.")
    aliases.roll_back(reviews, "prod", alice, "Slow.")
    aliases.remove_alias(reviews, "prod", alice)
    moved = heard()
    assert moved[1]["updatedRefs"] == [{"ref": "refs/aliases/prod", "oldSha": first.oid, "newSha": second.oid}]
    assert [row["alias"]["action"] for row in moved] == ["set", "set", "rollback", "remove"]


def test_they_get_the_comparison_of_a_regression(cast, reviews):
    hook(cast, "verdict")
    worse = regressed(cast, reviews)
    payloads = [payload for payload in heard() if "regression" in payload]
    assert [payload["event"]["scope"] for payload in payloads] == ["verdict.regression"]
    assert payloads[0]["regression"]["held"] is True
    assert payloads[0]["regression"]["revision"] == worse.oid


def test_they_hear_of_releases_with_the_page_of_what_is_there(cast, reviews, settings):
    dispatch.run()
    hook(cast, "release")
    release = {"tag": "v1.0.0", "title": "First", "prerelease": False, "revision": "0" * 40}
    for kind in (Kind.RELEASE_CREATED, Kind.RELEASE_EDITED, Kind.RELEASE_DELETED):
        outbox.record(kind, reviews, cast["alice"], **release)
    told = heard()
    assert [row["event"] for row in told] == [
        {"action": action, "scope": "release"} for action in ("create", "update", "delete")
    ]
    page = f"{settings.PUBLIC_URL}/alice/reviews/releases/v1.0.0"
    assert [row["release"] for row in told] == [{**release, "url": page}, {**release, "url": page}, release]


def test_the_messages_of_a_webhook_that_is_off_are_not_late(cast: Cast, settings) -> None:
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    hook = verbs.create(Wish("http://127.0.0.1:9/", [("user", "alice")], domains=[]), cast.session("alice"))
    hour_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.create(webhook=hook, payload={}, due_at=hour_ago)
    assert 3600 <= (number("dovetail_webhook_overdue_seconds") or 0) < 3700
    hook.disabled = True
    hook.save()
    assert number("dovetail_webhook_overdue_seconds") == 0


# --- the Hub's routes ------------------------------------------------------------------------------------------------
HOOK = {"url": "https://example.org/hook", "watched": [{"type": "user", "name": "alice"}], "domains": ["repo"]}


def test_a_secret_goes_in_and_does_not_come_out(wire: Wire, cast):
    hook = wire.ask("POST", "/api/settings/webhooks", HOOK | {"secret": "s3cret-s3cret"}).json()["webhook"]
    at = f"/api/settings/webhooks/{hook['id']}"
    answers = [
        wire.get("/api/settings/webhooks"),
        wire.get(at),
        wire.ask("POST", at, HOOK | {"secret": "s3cret-s3cret"}),
        wire.ask("POST", f"{at}/disable"),
        wire.ask("POST", f"{at}/enable"),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert not [answer for answer in answers if b"s3cret" in answer.content]
    assert "s3cret" not in json.dumps(list(AuditEvent.objects.values("object", "before", "after", "note")))
    for method, path in (("GET", at), ("POST", at), ("DELETE", at), ("POST", f"{at}/disable")):
        refused(wire.ask(method, path, HOOK, who="bob"), 404, "webhook-not-found")
        refused(wire.ask(method, path, HOOK, who=cast.token("alice", "read")), 403, "not-allowed")
    assert wire.ask("DELETE", at).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [{"url": "http://169.254.169.254/"}, {"url": "http://localhost@10.0.0.1/"}, {"url": 7}, {"watched": "alice"},
     {"watched": []}, {"watched": [{"type": "user"}]}, {"domains": ["x"]}, {"domains": "x"}, {"secret": ["a"]}],
)  # fmt: skip
def test_a_webhook_that_cannot_be_is_refused(wire: Wire, cast, wrong):
    refused(wire.ask("POST", "/api/settings/webhooks", HOOK | wrong), 400, "value-invalid")
    assert wire.get("/api/settings/webhooks").json() == []


@pytest.mark.parametrize("change", [{"url": "https://example.org/new"}, {"domains": ["discussion"]}, {"secret": "new"}])
def test_what_a_change_of_a_webhook_leaves_out_stays(wire: Wire, cast, change):
    at = f"/api/settings/webhooks/{wire.ask('POST', '/api/settings/webhooks', HOOK).json()['webhook']['id']}"
    changed = wire.ask("POST", at, {"watched": []} | change)  # as stock clients send it
    assert changed.status_code == 200, changed.content
    seen = wire.get(at).json()["webhook"]
    assert {key: seen[key] for key in HOOK} == HOOK | {key: value for key, value in change.items() if key in HOOK}
    assert Webhook.objects.get().secret == change.get("secret", "")


def test_a_webhook_that_starts_a_job_is_not_served(wire: Wire, cast):
    refused(wire.ask("POST", "/api/settings/webhooks", HOOK | {"job": {"command": "x"}}), 501, "not-supported")
