"""Alerts of discussions and pull requests: to whom, where, and how seldom a letter comes."""

import re

import pytest
from django.core import mail
from django.test import Client

from features.discussions import pull_requests, verbs
from registry.kernel.texts.mentions import MAX_MENTIONS
from registry.models import Follow
from registry.moderation import quarantine
from registry.people import accounts, gates
from registry.people.organizations import organizations
from registry.publish import push
from registry.publish.push import Inline, Intent
from registry.talk import dispatch
from tests.api.conftest import judged, pushed
from tests.cast import assemble
from tests.sweep import sweep

alerts, alert_mail, notices, preferences, recipients, of_alerts, of_notices, of_watching = (
    pytest.importorskip(f"features.notify.{name}")
    for name in (
        *("alerts", "mail", "notices", "preferences", "recipients"),
        *("tests.test_alerts", "tests.test_notices", "tests.test_watching"),
    )
)
Alert = alerts.Alert
age, browser, heard, yesterday = of_alerts.age, of_alerts.browser, of_alerts.heard, of_notices.yesterday
change, kinds = of_watching.change, of_watching.kinds


@pytest.fixture
def reviews(cast):
    """alice/reviews, which passed, and whose events a worker has handled."""
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made), depth="run")
    dispatch.run()
    return made


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    settings.MAIL_FROM = "dovetail@example.org"
    return assemble()


@pytest.fixture
def gated(cast):
    """acme/gated, which alice administers and bob writes; somebody decides who gets its files."""
    made = cast.repository("acme/gated")
    gates.set_gate(made, "manual", cast.session("alice"))
    return made


def test_owners_hear_of_a_new_thread_and_its_people_of_what_follows(cast, reviews):
    thread = verbs.start(reviews, "Which rank?", "I wonder.", cast.session("carol"))
    assert heard("alice") == ["carol opened the discussion alice/reviews#1: Which rank?"]
    assert heard("carol") == []
    verbs.comment(thread, "Eight.", cast.session("dave"))
    assert heard("carol") == ["New activity by dave in alice/reviews#1: Which rank?"]
    assert heard("alice") == ["carol opened the discussion alice/reviews#1: Which rank? (and 1 more)"]
    verbs.set_status(thread, "closed", cast.session("alice"))
    assert heard("dave") == ["New activity by alice in alice/reviews#1: Which rank?"]
    assert heard("carol") == ["New activity by alice in alice/reviews#1: Which rank? (and 1 more)"]
    alerts.saw(cast["carol"], "discussion", thread)
    assert alerts.unread(cast["carol"]) == 0
    assert alerts.unread(cast["dave"]) == 1


def test_a_proposal_is_told_once_with_its_first_commit_and_its_merge_to_its_author(cast, reviews):
    intent = Intent(reviews, "refs/heads/main", cast.session("carol"), title="Add a card", propose=True)
    push.receive(intent, [Inline("NOTES.md", b"# Hello")])
    assert heard("alice") == ["carol opened the pull request alice/reviews#1: Add a card"]
    pull_requests.merge(reviews.discussions.get(), cast.session("alice"), "Thank you.")
    assert heard("carol") == ["New activity by alice in alice/reviews#1: Add a card"]
    assert notices.address(Alert.objects.get(user=cast["carol"])) == "/alice/reviews/discussions/1"


def test_being_mentioned_is_said_until_it_is_read_whatever_follows(cast, reviews):
    thread = verbs.start(reviews, "Which rank?", "Does @Bob know? And @nobody-at-all?", cast.session("carol"))
    verbs.comment(thread, "Anyone?", cast.session("carol"))
    assert heard("bob") == ["carol mentioned you in alice/reviews#1: Which rank?"]
    verbs.comment(thread, "No. @bob and @carol: eight.", cast.session("alice"))
    assert heard("bob") == ["alice mentioned you in alice/reviews#1: Which rank? (and 1 more)"]
    assert heard("carol") == ["alice mentioned you in alice/reviews#1: Which rank?"]


@sweep(
    "text",
    ["mail bob@example.org", "`@bob.setter`", "```\n@bob\n```", "```\n@bob", "x@bob", "https://x.org/@bob", "@bob@x"],
)
def test_what_only_looks_like_a_mention_tells_nobody(cast, reviews, text):
    verbs.start(reviews, "Which rank?", text, cast.session("carol"))
    assert heard("bob") == []


def test_a_storm_of_mentions_makes_few_rows_and_few_questions(cast, reviews, django_assert_max_num_queries):
    for number in range(30):
        accounts.create_person(f"person-{number}")
    storm = " ".join(f"@person-{number}" for number in range(1000))
    thread = verbs.start(reviews, "Storm", storm, cast.session("carol"))
    dispatch.run()
    assert Alert.objects.filter(kind="mentioned").count() == MAX_MENTIONS
    before = Alert.objects.count()
    with django_assert_max_num_queries(44):
        verbs.comment(thread, storm, cast.session("carol"))
        dispatch.run()
    assert Alert.objects.count() == before


def test_nobody_fills_the_list_of_another(cast, reviews, monkeypatch):
    monkeypatch.setattr(recipients, "MAX_FROM_ONE", 3)
    for number in range(5):
        verbs.start(reviews, f"Buy {number}", "", cast.session("carol"))
    verbs.start(reviews, "A question", "", cast.session("dave"))
    assert len(heard("alice")) == 4
    assert heard("alice")[0] == "dave opened the discussion alice/reviews#6: A question"


def test_what_a_stranger_may_not_see_mentions_him_in_vain(cast):
    covert = cast.repository("acme/covert", private=True)
    thread = verbs.start(covert, "Secret", "@carol @erin", cast.session("bob"))
    assert heard("carol") == []
    assert heard("erin") == ["bob mentioned you in acme/covert#1: Secret"]
    organizations.remove_member("acme", "erin", cast.session("alice"))
    assert heard("erin") == [], "erin may not see it any more"
    verbs.comment(thread, "@erin", cast.session("bob"))
    assert Alert.objects.filter(user=cast["erin"]).count() == 1


def test_a_letter_tells_of_requests_and_discussions_with_their_addresses(cast, reviews, gated):
    gates.request_access(gated, cast.session("carol"))
    age(minutes=3)
    assert alert_mail.send_due() == 1
    [letter] = mail.outbox
    assert letter.subject == "[Dovetail] carol requested access to acme/gated."
    assert "/acme/gated/access" in letter.body
    Alert.objects.update(mailed_at=None)
    verbs.start(reviews, "Which rank?", "", cast.session("carol"))
    age(minutes=3)
    assert alert_mail.send_due() == 1
    assert mail.outbox[1].subject == "[Dovetail] 2 new notifications"
    assert "carol opened the discussion alice/reviews#1: Which rank?" in mail.outbox[1].body
    assert "/alice/reviews/discussions/1" in mail.outbox[1].body


def test_rest_and_the_page_tell_of_requests_and_threads_and_escape_what_people_wrote(cast, reviews, gated):
    gates.request_access(gated, cast.session("carol"))
    gates.decide_request(gated, "rejected", cast.session("alice"), username="carol", reason="<b>no</b>")
    verbs.start(reviews, "<b>rank</b>", "", cast.session("carol"))
    asking = Client(headers={"Authorization": f"Bearer {cast.token('alice', 'read')}"})
    thread, request = asking.get("/api/v1/me/notifications").json()["items"]
    assert (thread["kind"], thread["discussion"], thread["by"], thread["read"]) == (
        "discussion-opened",
        1,
        "carol",
        False,
    )
    assert thread["url"].endswith("/alice/reviews/discussions/1")
    assert (request["kind"], request["state"], request["read"]) == ("access-asked", None, True)
    page = " ".join(browser("alice").get("/settings/notifications").content.decode().split())
    assert "&lt;b&gt;rank" in page
    assert "asked for access" in page
    assert "&lt;b&gt;no&lt;/b&gt;" in browser("carol").get("/settings/notifications").content.decode()


def test_a_page_that_is_looked_at_is_no_news_any_more(cast, reviews, gated):
    gates.request_access(gated, cast.session("carol"))
    verbs.start(reviews, "Which rank?", "", cast.session("carol"))
    alice = browser("alice")
    assert "Notifications, 2 not read" in alice.get("/").content.decode()
    alice.get("/alice/reviews/discussions/1")
    alice.get("/acme/gated/access")
    assert "not read" not in alice.get("/").content.decode()
    gates.decide_request(gated, "accepted", cast.session("alice"), username="carol")
    carol = browser("carol")
    assert "Notifications, 1 not read" in carol.get("/").content.decode()
    carol.get("/acme/gated")
    assert "not read" not in carol.get("/").content.decode()


def test_who_watches_all_is_alerted_of_pushes_verdicts_and_discussions(cast, reviews):
    preferences.watch(reviews, "all", cast.session("carol"))
    change(cast, reviews, 1, "failed")
    change(cast, reviews, 2)
    verbs.start(reviews, "Which rank?", "", cast.session("dave"))
    assert kinds("carol") == ["discussion-opened", "verified", "pushed", "verdict"]
    assert heard("carol")[2] == "alice pushed 2 times to alice/reviews."
    assert set(Alert.objects.filter(user=cast["carol"]).values_list("topic", flat=True)) == {"watched"}


def test_owners_and_participants_are_alerted_once_and_as_such(cast, reviews):
    for who in ("alice", "carol"):
        preferences.watch(reviews, "all", cast.session(who))
    thread = verbs.start(reviews, "Which rank?", "@bob", cast.session("carol"))
    verbs.comment(thread, "Eight.", cast.session("dave"))
    dispatch.run()
    rows = Alert.objects.filter(discussion=thread).values_list("user__username", "topic")
    assert sorted(rows) == [("alice", "discussions"), ("bob", "mentions"), ("carol", "discussions")]


def test_who_ignores_a_repository_is_alerted_of_nothing_but_decisions(cast, reviews):
    preferences.watch(reviews, "ignore", cast.session("alice"))
    Follow.objects.create(follower=cast["carol"], namespace=cast["alice"].namespace)
    preferences.watch(reviews, "ignore", cast.session("carol"))
    change(cast, reviews, 1, "failed")
    change(cast, reviews, 2)
    verbs.start(reviews, "Which rank?", "@alice", cast.session("dave"))
    assert heard("alice") == heard("carol") == []
    quarantine.quarantine(reviews, cast.session("mona"), reason="malware")
    assert kinds("alice") == ["held"]


def test_a_message_is_text_and_html_and_escapes_what_people_wrote(cast, reviews):
    verbs.start(reviews, "<b>Which</b> & why?", "", cast.session("dave"))
    yesterday()
    assert alert_mail.send_due() == 1
    [letter] = mail.outbox
    html, kind = letter.alternatives[0]
    assert kind == "text/html"
    assert "<b>Which</b> & why?" in letter.body
    assert "&lt;b&gt;Which&lt;/b&gt; &amp; why?" in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!https?://)', html) == []
