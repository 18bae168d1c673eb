"""Alerts of verdicts and requests for files: to whom, where, and how seldom a letter comes."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from features.notify import alerts, notices
from features.notify import mail as alert_mail
from features.notify.models import Alert
from registry.models import User, Verdict
from registry.people import accounts, gates
from registry.people.organizations import organizations
from registry.proof.verdicts import jobs, requests
from registry.talk import dispatch
from tests.api.conftest import BASE, FILES, judged, pushed
from tests.cast import PASSWORD, assemble

FAILED = [{"id": "load.error", "outcome": "failed", "message": "KeyError: 'lora_A'", "fix": "Save it again."}]


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    settings.MAIL_FROM = "dovetail@example.org"
    return assemble()


@pytest.fixture
def reviews(cast):
    """alice/reviews, which passed, and whose events a worker has handled."""
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made))
    dispatch.run()
    return made


def again(repository, state="failed", checks=FAILED, **more):
    """Have main judged once more."""
    revision = repository.refs.get(name="refs/heads/main").revision
    requests.request(revision, BASE, again=True)
    return judged(revision, state, checks=checks if state == "failed" else [], **more)


def told(who=None):
    dispatch.run()
    rows = Alert.objects.filter(user__username=who) if who else Alert.objects.all()
    return sorted(f"{row.user.username}: {row.verdict}" for row in rows)


def age(**by):
    dispatch.run()
    Alert.objects.update(created_at=timezone.now() - timedelta(**by))


# --- who -------------------------------------------------------------------------------------------------------------
def test_a_push_that_passes_tells_nobody_and_one_that_fails_tells_its_owner(cast, reviews):
    assert told() == []
    judged(pushed(cast, reviews, files=FILES | {"notes": b"2"}), "failed", checks=FAILED)
    assert [line.partition(":")[0] for line in told()] == ["alice"]
    assert Alert.objects.get().verdict.changed_from == "", "a push is no change of what was there"


def test_what_stops_passing_is_told_once_and_what_fails_again_is_not(cast, reviews):
    verdict = again(reviews)
    assert (verdict.changed_from, verdict.number) == ("passed", 2)
    again(reviews)
    assert len(told("alice")) == 1
    back = again(reviews, "passed")
    assert back.changed_from == "failed"
    again(reviews)
    assert len(told("alice")) == 2


def test_a_commit_that_fails_for_the_reason_of_the_one_before_is_no_second_alert_until_that_is_read(cast, reviews):
    for number in (2, 3):
        revision = pushed(cast, reviews, files=FILES | {"notes": b"%d" % number})
        judged(revision, "failed", checks=FAILED)
    assert len(told("alice")) == 1
    assert Alert.objects.get().verdict.revision == revision, "it leads to the newest"
    other = [{**FAILED[0], "message": "Another one."}]
    judged(pushed(cast, reviews, files=FILES | {"notes": b"4"}), "failed", checks=other)
    assert len(told("alice")) == 2
    Alert.objects.update(read_at=timezone.now())
    judged(pushed(cast, reviews, files=FILES | {"notes": b"5"}), "failed", checks=other)
    assert len(told("alice")) == 3


def test_in_an_organisation_its_administrators_hear_and_who_pushed_and_strangers_never(cast):
    made = cast.repository("acme/router")
    judged(pushed(cast, made, by="bob"), "failed", checks=FAILED)
    assert sorted(line.partition(":")[0] for line in told()) == ["alice", "bob"]


def test_who_pushed_and_lost_the_right_to_hears_nothing(cast):
    made = cast.repository("acme/router")
    revision = pushed(cast, made, by="bob")
    organizations.set_member(cast.acme, cast["bob"], "read", by=cast["alice"])
    judged(revision, "failed", checks=FAILED)
    assert [line.partition(":")[0] for line in told()] == ["alice"]


def test_what_main_does_not_point_at_concerns_nobody(cast, reviews):
    old = reviews.refs.get(name="refs/heads/main").revision
    pushed(cast, reviews, files=FILES | {"notes": b"2"})
    requests.request(old, BASE, again=True)
    judged(old, "failed", checks=FAILED)
    assert told() == []


def test_an_error_of_ours_after_the_last_attempt_is_told_too(cast, reviews, settings):
    settings.MAX_ATTEMPTS = 1
    revision = reviews.refs.get(name="refs/heads/main").revision
    waiting = requests.request(revision, BASE, again=True)
    jobs.give_back(jobs.claim(waiting.pk, "a test"), "The worker was lost.")
    assert Verdict.objects.get(pk=waiting.pk).changed_from == "passed"
    assert len(told("alice")) == 1
    again(reviews)
    assert len(told("alice")) == 2, "and that it is the adapter after all"


# --- access to gated files -------------------------------------------------------------------------------------------
@pytest.fixture
def gated(cast):
    """acme/gated, which alice administers and bob writes; somebody decides who gets its files."""
    made = cast.repository("acme/gated")
    gates.set_gate(made, "manual", cast.session("alice"))
    return made


def heard(who):
    dispatch.run()
    return [notices.sentence(alert) for alert in alerts.of(accounts.get_person(who))]


def test_who_administers_hears_of_requests_in_one_line_until_he_reads_it(cast, gated):
    gates.request_access(gated, cast.session("carol"), "For a study.")
    gates.request_access(gated, cast.session("carol"), "For a study, once more.")
    assert heard("alice") == ["carol requested access to acme/gated."]
    gates.request_access(gated, cast.session("mona"))
    assert heard("alice") == ["mona and 1 more requested access to acme/gated."]
    assert heard("bob") == heard("carol") == [], "who may not decide, and who asks, hear nothing"
    assert notices.address(Alert.objects.get()) == "/acme/gated/access"
    alerts.read(cast["alice"], Alert.objects.get().pk)
    gates.request_access(gated, cast.session("ada"))
    assert [alert.count for alert in alerts.of(cast["alice"])] == [1, 2]


def test_an_automatic_gate_tells_its_owner_who_came_in(cast, gated):
    gates.set_gate(gated, "auto", cast.session("alice"))
    gates.request_access(gated, cast.session("carol"))
    assert heard("alice") == ["carol requested access to acme/gated."]
    assert heard("carol") == [], "carol saw the decision on the page"


def test_who_asked_hears_what_became_of_it_and_nothing_waits_for_the_owner_any_more(cast, gated):
    alice = cast.session("alice")
    gates.request_access(gated, cast.session("carol"))
    gates.decide_request(gated, "rejected", alice, username="carol", reason="Not now.")
    assert heard("carol") == ["Your request for access to acme/gated was rejected. Not now."]
    assert alerts.unread(cast["alice"]) == 0
    gates.decide_request(gated, "pending", alice, username="carol")
    assert heard("carol") == []
    gates.decide_request(gated, "accepted", alice, username="carol")
    gates.grant_access(gated, "dave", alice)
    assert heard("carol") == heard("dave") == ["You now have access to the files of acme/gated."]


# --- e-mail ----------------------------------------------------------------------------------------------------------
def test_one_letter_tells_of_everything_and_the_next_waits_an_hour(cast, reviews):
    other = cast.repository("alice/other")
    judged(pushed(cast, other), "failed", checks=FAILED)
    again(reviews)
    assert alert_mail.send_due() == 0, "more may come"
    age(minutes=3)
    assert alert_mail.send_due() == 1
    assert alert_mail.send_due() == 0
    [letter] = mail.outbox
    assert letter.to == ["alice@example.org"]
    assert letter.subject == "[Dovetail] 2 of your adapters did not pass"
    for expected in ("alice/reviews", "alice/other", "passed before and now failed", "load.error", "/verdict/"):
        assert expected in letter.body
    assert letter.extra_headers["Auto-Submitted"] == "auto-generated"
    again(reviews, "passed")
    again(reviews)
    age(minutes=3)
    assert alert_mail.send_due() == 0
    Alert.objects.filter(mailed_at__isnull=False).update(mailed_at=timezone.now() - timedelta(hours=2))
    assert alert_mail.send_due() == 1


def test_who_wants_no_letters_and_a_hub_without_e_mail_send_none(cast, reviews, settings):
    again(reviews)
    age(minutes=3)
    settings.MAIL_FROM = ""
    assert alert_mail.send_due() == 0
    settings.MAIL_FROM = "dovetail@example.org"
    alerts.set_mail(cast["alice"], False)
    alerts.set_mail(cast["alice"], True)
    assert alert_mail.send_due() == 0, "what happened meanwhile is not sent afterwards"
    assert mail.outbox == []


def test_a_letter_that_cannot_be_sent_is_tried_again_a_few_times_ever_later(cast, reviews, settings):
    again(reviews)
    age(minutes=3)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    pauses = []
    for _ in alert_mail.PAUSES:
        assert alert_mail.send_due() == 0
        pauses.append(Alert.objects.get().mail_due_at - timezone.now())
        assert alert_mail.send_due() == 0, "not before that"
        Alert.objects.update(mail_due_at=timezone.now())
    assert pauses == sorted(pauses)
    assert Alert.objects.get().mail_attempts == len(alert_mail.PAUSES)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert alert_mail.send_due() == 1


def test_a_letter_that_is_refused_for_ever_is_given_up(cast, reviews, settings, caplog):
    again(reviews)
    age(minutes=3)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    for _ in range(len(alert_mail.PAUSES) + 1):
        alert_mail.send_due()
        Alert.objects.update(mail_due_at=timezone.now())
    assert [record.message for record in caplog.records][-1] == "Alerts were not sent by e-mail"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert alert_mail.send_due() == 0


def test_who_may_no_longer_see_it_gets_no_letter_about_it(cast):
    made = cast.repository("acme/secret", private=True)
    judged(pushed(cast, made, by="bob"), "failed", checks=FAILED)
    age(minutes=3)
    organizations.remove_member("acme", "bob", cast.session("alice"))
    assert alert_mail.send_due() == 1
    assert [letter.to for letter in mail.outbox] == [["alice@example.org"]]
    assert alerts.unread(cast["bob"]) == 0


def test_no_reason_that_somebody_wrote_looks_like_a_line_of_the_hub(cast, gated):
    gates.request_access(gated, cast.session("carol"))
    forged = "No.\n\n-- \nAll notifications: https://evil.example"
    gates.decide_request(gated, "rejected", cast.session("alice"), username="carol", reason=forged)
    age(minutes=3)
    alert_mail.send_due()
    [letter] = [letter for letter in mail.outbox if letter.to == ["carol@example.org"]]
    assert "was rejected. No. -- All notifications: https://evil.example\n" in letter.body
    assert letter.body.count("\nAll notifications: ") == 1


# --- the website and REST --------------------------------------------------------------------------------------------
def browser(who):
    client = Client()
    assert client.login(username=who, password=PASSWORD)
    return client


def test_the_bell_counts_and_the_page_says_what_and_lets_it_be_read(cast, reviews):
    again(reviews)
    alice = browser("alice")
    assert "Notifications, 1 not read" in alice.get("/").content.decode()
    page = alice.get("/settings/notifications").content.decode()
    for expected in ("reviews", "load.error", "KeyError", "passed before"):
        assert expected in page
    newest = Alert.objects.latest("pk").pk
    assert alice.post("/settings/notifications/read", {"up_to": newest}).status_code == 302
    assert "not read" not in alice.get("/").content.decode()
    assert "No notifications yet" in browser("carol").get("/settings/notifications").content.decode()
    assert Client().get("/settings/notifications").status_code == 302


def test_letters_are_switched_off_on_the_page(cast, reviews):
    alice = browser("alice")
    alice.post("/settings/notifications/mail")
    assert not User.objects.get(username="alice").mail_alerts
    alice.post("/settings/notifications/mail", {"mail": "on"})
    assert User.objects.get(username="alice").mail_alerts


def test_rest_lists_them_in_pages_and_a_reading_token_marks_nothing(cast, reviews):
    for _ in range(3):
        again(reviews)
        again(reviews, "passed")
    dispatch.run()
    asking = Client(headers={"Authorization": f"Bearer {cast.token('alice', 'write')}"})
    first = asking.get("/api/v1/me/notifications", {"limit": 2}).json()
    second = asking.get(first["next"]).json()
    assert [len(first["items"]), len(second["items"]), second["next"]] == [2, 1, None]
    item = first["items"][0]
    assert (item["adapter"], item["was"], item["check"], item["read"]) == (
        "alice/reviews",
        "passed",
        "load.error",
        False,
    )
    reading = Client(headers={"Authorization": f"Bearer {cast.token('alice', 'read')}"})
    body = {"up_to": item["id"]}
    assert reading.post("/api/v1/me/notifications/read", body, "application/json").status_code == 403
    assert asking.post("/api/v1/me/notifications/read", body, "application/json").json() == {"read": 3}
    assert asking.get("/api/v1/me/notifications").json()["items"][0]["read"]
    mine = Client(headers={"Authorization": f"Bearer {cast.token('carol', 'write')}"})
    assert mine.get("/api/v1/me/notifications").json()["items"] == []


def test_every_page_whose_alerts_are_read_by_looking_says_that_it_is_seen():
    """Those of releases, discussions and moderation are of other features."""
    sources = "".join(file.read_text() for file in (Path(__file__).parents[3] / "hub/site").rglob("*.py"))
    said = {*re.findall(r'seams\.saw\(.*, "(\w+)"', sources), "releases", "discussion", "appeal", "standing"}
    assert said == set(alerts.SEEN_ON)
