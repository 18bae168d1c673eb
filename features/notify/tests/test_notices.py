"""E-mails of notices: mandatory ones, the daily digest, unsubscribing by one click, and to whom none is sent."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from features.notify import alerts, notices, preferences
from features.notify import mail as alert_mail
from features.notify.models import Alert, Topic
from features.notify.tests.test_watching import change, reviews
from registry.kernel import audit, outbox
from registry.kernel.outbox import Kind
from registry.models import User
from registry.moderation import quarantine
from registry.people import accounts, profiles, sign_ins
from registry.talk import dispatch
from tests.cast import PASSWORD, assemble
from tests.sweep import at_merge

assert reviews  # a fixture


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    settings.MAIL_FROM = "dovetail@example.org"
    return assemble()


def signed_in(cast, who, **data):
    outbox.record(Kind.SIGNED_IN, None, person=cast[who].pk, **{"browser": "Firefox on Linux", "address": "", **data})
    dispatch.run()


def yesterday(**more):
    """Let everything have happened a day ago."""
    dispatch.run()
    before = timezone.now() - timedelta(days=1)
    Alert.objects.update(created_at=before)
    User.objects.exclude(digested_at=None).update(digested_at=before - timedelta(minutes=1), **more)


def headers_of(letter):
    return letter.message()


def test_every_kind_and_every_topic_has_its_line_in_the_tables():
    assert set(notices.NOTICES) == set(Alert.Kind)
    assert set(preferences.RULES) == set(Topic)
    assert {notice.topic for notice in notices.NOTICES.values()} == set(Topic)


# --- mandatory -------------------------------------------------------------------------------------------------------
def test_a_security_notice_is_sent_at_once_whatever_the_person_chose(cast):
    alerts.set_mail(cast["carol"], False)
    signed_in(cast, "carol", address="198.51.100.0/24")
    assert alert_mail.send_due() == 1
    assert alert_mail.send_due() == 0
    [letter] = mail.outbox
    assert letter.subject.startswith("[Dovetail] New sign-in to your account from Firefox on Linux at 198.51.100.0/24")
    assert "List-Unsubscribe" not in headers_of(letter)
    assert "cannot be switched off" in letter.body


def test_a_notice_of_a_hold_is_sent_to_who_ignores_the_repository_and_another_without_a_pause(cast, reviews):
    preferences.watch(reviews, "ignore", cast.session("alice"))
    quarantine.quarantine(reviews, cast.session("mona"), reason="malware")
    dispatch.run()
    assert alert_mail.send_due() == 1
    quarantine.release(reviews, cast.session("mona"), reason="a mistake")
    dispatch.run()
    assert alert_mail.send_due() == 1
    assert [letter.to for letter in mail.outbox] == [["alice@example.org"]] * 2


@pytest.mark.parametrize("change", [{"is_active": False}, {"email_verified": False}, {"email": ""}])
def test_nothing_is_sent_to_suspended_people_and_to_addresses_that_nobody_proved(cast, change):
    signed_in(cast, "carol")
    User.objects.filter(username="carol").update(**change)
    assert alert_mail.send_due() == 0
    User.objects.filter(username="carol").update(is_active=True, email="carol@example.org", email_verified=True)
    assert alert_mail.send_due() == 1


def test_account_notices_say_what_changed_and_stay_out_of_sight_of_tokens(cast):
    outbox.record(Kind.ACCOUNT_CHANGED, None, person=cast["carol"].pk, change="account:passkey-remove", details="")
    dispatch.run()
    [alert] = alerts.of(cast["carol"])
    assert notices.sentence(alert).startswith("A passkey was removed from your account.")
    asking = Client(headers={"Authorization": f"Bearer {cast.token('carol', 'write')}"})
    assert asking.get("/api/v1/me/notifications").json()["items"] == []


def test_a_sign_in_from_a_new_browser_or_network_is_told_and_from_known_ones_is_not(cast):
    def sign_in(browser, address):
        token = audit.client.set(audit.Client(address))
        sign_ins.record(cast["carol"], ["password"], browser=browser)
        audit.client.reset(token)
        dispatch.run()
        return Alert.objects.filter(kind="signed-in").count()

    assert sign_in("Firefox on Linux", "198.51.100.7") == 0, "the first place is where the person joined"
    assert sign_in("Firefox on Linux", "198.51.100.9") == 0
    assert sign_in("Chrome on Windows", "198.51.100.7") == 1
    assert sign_in("Firefox on Linux", "203.0.113.5") == 2
    assert sign_in("Chrome on Windows", "198.51.100.200") == 2
    assert sign_in("Firefox on Linux", "2001:db8::1") == 3


def test_changes_of_the_account_are_on_the_website_and_mailed_once_by_their_own_letter(cast):
    accounts.set_password(cast["carol"], "another horse battery", by=cast["carol"])
    profiles.confirm(cast["carol"], "carol@example.net")
    dispatch.run()
    said = [notices.sentence(alert).partition(".")[0] for alert in alerts.of(cast["carol"])]
    changed = "of your account was changed"
    assert said == [f"The e-mail address {changed} (carol@example", f"The password {changed}"]
    assert alert_mail.send_due() == 0


# --- the digest ------------------------------------------------------------------------------------------------------
def test_a_digest_holds_the_day_and_comes_once_a_day_and_never_empty(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    assert alert_mail.send_due() == 0, "nothing happened"
    change(cast, reviews, 1)
    dispatch.run()
    Alert.objects.update(created_at=timezone.now() + timedelta(seconds=1))
    assert alert_mail.send_due() == 0, "its hour comes first"
    yesterday()
    assert alert_mail.send_due() == 1
    assert alert_mail.send_due() == 0
    [letter] = mail.outbox
    assert letter.subject == "[Dovetail] News of alice/reviews"
    assert "You watch alice/reviews." in letter.body
    change(cast, reviews, 2)
    dispatch.run()
    Alert.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert alert_mail.send_due() == 0, "one a day"
    yesterday()
    assert alert_mail.send_due() == 1
    yesterday()
    assert alert_mail.send_due() == 0, "never empty"


def test_a_digest_has_nothing_of_what_the_person_may_no_longer_see(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    revision = change(cast, reviews, 1)
    quarantine.quarantine(reviews, cast.session("mona"), reason="malware", revision=revision)
    yesterday()
    assert alert_mail.send_due() == 1, "the owner's notice"
    assert [letter.to for letter in mail.outbox] == [["alice@example.org"]]


@pytest.mark.parametrize("hour", [0, 20, *at_merge(5, 10, 15)])
def test_the_digest_waits_for_the_hour_of_the_person(cast, reviews, hour):
    preferences.watch(reviews, "releases", cast.session("carol"))
    preferences.set_hour(cast["carol"], hour)
    change(cast, reviews, 1)
    dispatch.run()
    last = alert_mail._last_hour(timezone.now(), hour)
    Alert.objects.update(created_at=last + timedelta(seconds=1))
    assert alert_mail.send_due() == 0
    Alert.objects.update(created_at=last - timedelta(seconds=1))
    assert alert_mail.send_due() == 1


# --- unsubscribing ---------------------------------------------------------------------------------------------------
def link(letter):
    headers = headers_of(letter)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return re.fullmatch(r"<https?://[^/]+(/unsubscribe/\S+)>", headers["List-Unsubscribe"])[1]


def digest(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    change(cast, reviews, 1)
    yesterday()
    assert alert_mail.send_due() == 1
    return mail.outbox[-1]


def test_one_click_unsubscribes_without_a_sign_in_and_a_look_does_not(cast, reviews):
    address = link(digest(cast, reviews))
    stranger = Client(enforce_csrf_checks=True)
    page = stranger.get(address)
    assert "Watched adapters" in page.content.decode()
    assert preferences.channels(cast["carol"])[Topic.WATCHED] == "digest"
    done = stranger.post(address, {"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert "You are unsubscribed" in done.content.decode()
    assert preferences.channels(cast["carol"])[Topic.WATCHED] == "site"
    assert preferences.channels(cast["carol"])[Topic.FOLLOWED] == "digest", "nothing else is switched"
    assert "_auth_user_id" not in stranger.session
    change(cast, reviews, 2)
    yesterday()
    assert alert_mail.send_due() == 0
    assert alerts.unread(cast["carol"]) == 1


@pytest.mark.parametrize("change_of", [lambda signed: signed[:-1], lambda signed: f"x{signed}", lambda signed: "x"])
def test_a_link_that_was_changed_does_nothing(cast, change_of):
    signed = preferences.sign(cast["carol"], [Topic.WATCHED])
    for answer in (
        Client().get(f"/unsubscribe/{change_of(signed)}"),
        Client().post(f"/unsubscribe/{change_of(signed)}"),
    ):
        assert answer.status_code in {302, 403}
    assert preferences.channels(cast["carol"])[Topic.WATCHED] == "digest"


def test_a_link_switches_no_mandatory_topic_and_turns_nothing_on(cast):
    preferences.choose(cast["carol"], {Topic.WATCHED: "off"})
    signed = preferences.sign(cast["carol"], [Topic.WATCHED, Topic.SECURITY])
    assert Client().post(f"/unsubscribe/{signed}").status_code == 200
    assert preferences.channels(cast["carol"])[Topic.WATCHED] == "off"
    signed_in(cast, "carol")
    assert alert_mail.send_due() == 1


# --- the pages -------------------------------------------------------------------------------------------------------
@pytest.fixture
def carol(cast):
    client = Client()
    assert client.login(username="carol", password=PASSWORD)
    return client


def test_topics_are_chosen_on_the_page(cast, carol):
    page = carol.get("/settings/notifications/choices").content.decode()
    assert "Watched adapters" in page
    assert "Owners appeal" not in page, "moderators alone"
    now = {topic: channel.value for topic, channel in preferences.channels(cast["carol"]).items()}
    form = {**now, Topic.WATCHED: "mail", Topic.OWN: "off", "hour": "18"}
    assert carol.post("/settings/notifications/choices", form).status_code == 302
    changed = preferences.channels(cast["carol"])
    assert (changed[Topic.WATCHED], changed[Topic.OWN]) == ("mail", "off")
    assert User.objects.get(username="carol").digest_hour == 18
    assert carol.post("/settings/notifications/choices", {**form, "watched": "loud"}).status_code == 400
    assert carol.post("/settings/notifications/choices", {**form, "hour": "24"}).status_code == 400
    assert preferences.channels(cast["carol"]) == changed


def test_a_repository_is_watched_on_its_page_and_by_rest(cast, reviews, carol):
    assert carol.post("/alice/reviews/watch", {"level": "all"}).status_code == 302
    assert "Watching" in carol.get("/alice/reviews").content.decode()
    assert "alice/reviews" in carol.get("/settings/notifications/choices").content.decode()
    asking = Client(headers={"Authorization": f"Bearer {cast.token('carol', 'write')}"})
    at = "/api/v1/adapters/alice/reviews/watch"
    assert asking.get(at).json() == {"adapter": "alice/reviews", "level": "all"}
    assert asking.put(at, {}, "application/json").json()["level"] == "releases"
    assert asking.put(at, {"level": "loud"}, "application/json").status_code == 400
    assert asking.delete(at).json()["level"] is None
    assert asking.get(at).json()["level"] is None
    reading = Client(headers={"Authorization": f"Bearer {cast.token('carol', 'read')}"})
    assert reading.put(at, {}, "application/json").status_code == 403


def test_the_list_is_filtered_and_grouped_and_a_topic_is_read_alone(cast, reviews, carol):
    preferences.watch(reviews, "all", cast.session("carol"))
    change(cast, reviews, 1)
    signed_in(cast, "carol")
    page = carol.get("/settings/notifications").content.decode()
    for expected in ("Today", "new verified version", "pushed to alice/reviews", "New sign-in", "You watch"):
        assert expected in page
    only = carol.get("/settings/notifications?topic=security&unread=1").content.decode()
    assert "New sign-in" in only
    assert "new verified version" not in only
    newest = Alert.objects.latest("pk").pk
    assert carol.post("/settings/notifications/read", {"up_to": newest, "topic": "watched"}).status_code == 302
    assert alerts.unread(cast["carol"]) == 1
    carol.post("/settings/notifications/read", {"up_to": newest})
    assert "Nothing here" in carol.get("/settings/notifications?unread=1").content.decode()
