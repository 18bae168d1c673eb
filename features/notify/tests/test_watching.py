"""Alerts about watched and followed things: levels, visibility then and now, and a cost that followers do not raise."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from features import FEATURES
from features.notify import alerts, events, notices, preferences
from features.notify.models import Alert, RepositoryWatch, Topic
from registry.kernel.errors import ValueInvalid
from registry.models import Base, BaseFollow, Follow, Namespace, OutboxEvent, User
from registry.moderation import quarantine
from registry.people import accounts
from registry.people.organizations import organizations
from registry.proof.verdicts import requests
from registry.proof.verified import withdrawals
from registry.publish import repositories
from registry.talk import dispatch
from tests.api.conftest import BASE, FILES, judged, pushed
from tests.cast import assemble

FAILED = [{"id": "load.error", "outcome": "failed", "message": "KeyError", "fix": "Save it again."}]


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    return assemble()


@pytest.fixture
def reviews(cast):
    """alice/reviews, which passed, and whose events a worker has handled."""
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made), depth="run")
    dispatch.run()
    return made


def heard(who):
    dispatch.run()
    return [(alert.kind, notices.sentence(alert)) for alert in alerts.of(accounts.get_person(who))]


def kinds(who):
    return [kind for kind, _ in heard(who)]


def change(cast, repository, number, state="passed"):
    """Push another version of main and have it judged."""
    revision = pushed(cast, repository, files=FILES | {"notes": b"%d" % number})
    judged(revision, state, depth="run", checks=FAILED if state == "failed" else [])
    return revision


# --- watching --------------------------------------------------------------------------------------------------------
def test_who_watches_releases_is_alerted_of_verified_versions_alone(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    change(cast, reviews, 1, "failed")
    assert heard("carol") == []
    revision = change(cast, reviews, 2)
    assert heard("carol") == [("verified", f"alice/reviews has a new verified version, {revision.oid[:12]}.")]
    alert = Alert.objects.get(user=cast["carol"])
    assert (alert.topic, alert.mail) == ("watched", "digest")
    assert notices.address(alert) == f"/alice/reviews/verdict/{revision.oid}"


def test_a_version_judged_again_is_no_release_unless_it_did_not_pass_before(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    main = reviews.refs.get(name="refs/heads/main").revision
    for state, expected in (("passed", 0), ("failed", 0), ("passed", 1)):
        requests.request(main, BASE, again=True)
        judged(main, state, depth="run", checks=FAILED if state == "failed" else [])
        assert len(kinds("carol")) == expected, state


def test_a_watch_is_changed_and_ended(cast, reviews):
    carol = cast.session("carol")
    assert preferences.watch(reviews, "releases", carol)
    assert not preferences.watch(reviews, "releases", carol)
    assert preferences.watch(reviews, "all", carol)
    assert preferences.level_of(carol, reviews) == "all"
    with pytest.raises(ValueInvalid):
        preferences.watch(reviews, "loud", carol)
    assert preferences.unwatch(reviews, carol)
    assert not preferences.unwatch(reviews, carol)
    change(cast, reviews, 1)
    assert heard("carol") == []


# --- following -------------------------------------------------------------------------------------------------------
def test_followers_are_alerted_of_new_repositories_and_of_verified_versions(cast):
    Follow.objects.create(follower=cast["carol"], namespace=Namespace.objects.get(name="acme"))
    made = cast.repository("acme/router", by="bob")
    assert heard("carol") == [("created", "bob created the adapter acme/router.")]
    judged(pushed(cast, made, by="bob"), depth="run")
    assert kinds("carol") == ["verified", "created"]
    assert set(Alert.objects.filter(kind="verified").values_list("topic", flat=True)) == {"followed"}


def test_followers_of_a_base_are_alerted_of_its_new_adapters_once_they_pass(cast, reviews):
    BaseFollow.objects.create(follower=cast["carol"], base=BASE)
    change(cast, reviews, 1)
    assert heard("carol") == [], "alice/reviews passed before"
    made = cast.repository("bob/router", by="bob")
    failed = pushed(cast, made, by="bob")
    judged(failed, "failed", depth="run", checks=FAILED)
    assert heard("carol") == []
    judged(pushed(cast, made, by="bob", files=FILES | {"notes": b"2"}), depth="run")
    assert kinds("carol") == ["verified"]
    assert Alert.objects.get(user=cast["carol"]).data == {"base": BASE}


# --- visibility ------------------------------------------------------------------------------------------------------
def test_news_of_a_private_repository_reach_its_members_alone(cast):
    for who in ("carol", "erin", "mona"):
        Follow.objects.create(follower=cast[who], namespace=Namespace.objects.get(name="acme"))
    made = cast.repository("acme/secret", private=True)
    judged(pushed(cast, made), depth="run")
    assert heard("carol") == heard("mona") == []
    assert kinds("erin") == ["verified", "created"]
    organizations.remove_member("acme", "erin", cast.session("alice"))
    assert heard("erin") == []
    assert alerts.unread(cast["erin"]) == 0


def test_alerts_of_what_is_held_back_or_made_private_or_deleted_are_not_shown(cast, reviews):
    preferences.watch(reviews, "all", cast.session("carol"))
    revision = change(cast, reviews, 1)
    mona = cast.session("mona")
    assert kinds("carol") == ["verified", "pushed"]
    quarantine.quarantine(reviews, mona, reason="malware", revision=revision)
    assert heard("carol") == []
    assert alerts.unread(cast["carol"]) == 0
    quarantine.release(reviews, mona, reason="a mistake", revision=revision)
    assert kinds("carol") == ["verified", "pushed"]
    withdrawals.yank(revision, cast.session("alice"), "It forgets.")
    assert heard("carol") == []
    withdrawals.unyank(revision, cast.session("alice"))
    assert kinds("carol") == ["verified", "pushed"]
    repositories.set_private(reviews, True, cast.session("alice"))
    assert heard("carol") == []
    repositories.set_private(reviews, False, cast.session("alice"))
    assert kinds("carol") == ["verified", "pushed"]
    repositories.delete(reviews, cast.session("alice"))
    assert heard("carol") == []


def test_who_lost_access_between_the_event_and_its_handling_is_not_alerted(cast):
    made = cast.repository("acme/secret", private=True)
    preferences.watch(made, "all", cast.session("erin"))
    pushed(cast, made)
    organizations.remove_member("acme", "erin", cast.session("alice"))
    dispatch.run()
    assert not Alert.objects.filter(user=cast["erin"]).exists()


def test_suspended_people_are_not_alerted(cast, reviews):
    preferences.watch(reviews, "all", cast.session("carol"))
    User.objects.filter(username="carol").update(is_active=False)
    change(cast, reviews, 1)
    dispatch.run()
    assert not Alert.objects.filter(user=cast["carol"]).exists()


# --- many ------------------------------------------------------------------------------------------------------------
def crowd(reviews, number):
    """Make people who watch alice/reviews, follow alice, or both."""
    start = User.objects.count()
    names = [f"reader-{start + index}" for index in range(number)]
    spaces = Namespace.objects.bulk_create(Namespace(name=name, kind="person") for name in names)
    people = User.objects.bulk_create(
        User(username=name, namespace=space) for name, space in zip(names, spaces, strict=True)
    )
    RepositoryWatch.objects.bulk_create(
        RepositoryWatch(user=user, repository=reviews, level="all") for user in people[: number // 2 + 1]
    )
    Follow.objects.bulk_create(Follow(follower=user, namespace=reviews.namespace) for user in people[number // 3 :])


def cost(cast, reviews, number):
    """Return the queries of handling one verified version without those that insert rows, and how many insert."""
    change(cast, reviews, number)
    with CaptureQueriesContext(connection) as queries:
        dispatch.run()
    statements = [query["sql"].split()[0] for query in queries]
    return len(statements) - statements.count("INSERT"), statements.count("INSERT")


def test_an_event_costs_as_many_queries_for_five_followers_as_for_five_hundred(cast, reviews):
    crowd(reviews, 5)
    cost(cast, reviews, 1)
    few, _ = cost(cast, reviews, 2)
    crowd(reviews, 495)
    cost(cast, reviews, 3)
    many, inserts = cost(cast, reviews, 4)
    assert Alert.objects.filter(kind="verified").count() == 500
    assert few == many
    assert inserts <= 30, "rows are inserted together, as many as the database takes in one statement"


def test_more_followers_than_one_event_alerts_are_alerted_by_further_events(cast, reviews, monkeypatch):
    monkeypatch.setattr(events, "AT_ONCE", 4)
    crowd(reviews, 11)
    change(cast, reviews, 1)
    dispatch.run()
    rows = Alert.objects.filter(kind="verified").values_list("user", "topic")
    assert len(rows) == len({user for user, _ in rows}) == 11
    watchers = set(RepositoryWatch.objects.values_list("user", flat=True))
    assert {user for user, topic in rows if topic == Topic.WATCHED} == watchers
    assert not OutboxEvent.objects.exists()


def test_a_topic_that_is_off_makes_no_alert_and_its_mail_follows_the_choice(cast, reviews):
    preferences.watch(reviews, "all", cast.session("carol"))
    preferences.choose(cast["carol"], {Topic.WATCHED: "off"})
    change(cast, reviews, 1)
    assert heard("carol") == []
    preferences.choose(cast["carol"], {Topic.WATCHED: "mail"})
    change(cast, reviews, 2)
    dispatch.run()
    mine = Alert.objects.filter(user=cast["carol"])
    assert set(mine.values_list("mail", flat=True)) == {"now"}
    preferences.choose(cast["carol"], {Topic.WATCHED: "site"})
    assert set(mine.values_list("mail", flat=True)) == {"none"}
    with pytest.raises(ValueInvalid):
        preferences.choose(cast["carol"], {Topic.SECURITY: "off"})


def test_an_alert_that_was_read_is_followed_by_a_new_one(cast, reviews):
    preferences.watch(reviews, "releases", cast.session("carol"))
    change(cast, reviews, 1)
    dispatch.run()
    Alert.objects.update(read_at=timezone.now())
    change(cast, reviews, 2)
    assert kinds("carol") == ["verified", "verified"]


# --- bases that people ask for ---------------------------------------------------------------------------------------
def visit(cast, who):
    browser = Client()
    if who in cast.people:
        browser.force_login(cast[who])
    return browser


def test_who_asked_for_a_base_is_told_once_when_its_weights_are_here(cast):
    for who in ("carol", "dave"):
        BaseFollow.objects.create(follower=cast[who], base="acme/Giant", asked_at=timezone.now())
    BaseFollow.objects.create(follower=cast["bob"], base="acme/Giant")
    events.tell_of_bases()
    assert not Alert.objects.exists()
    Base.objects.create(id="acme/Giant", revision="1", sha256="0" * 64)
    for _ in range(2):
        events.tell_of_bases()
        assert sorted(alert.user.username for alert in Alert.objects.all()) == ["carol", "dave"]
    alert = Alert.objects.filter(user=cast["carol"]).get()
    assert notices.sentence(alert) == (
        "The base model acme/Giant, which you requested, is now available: its adapters are being validated."
    )
    assert (notices.address(alert), notices.why(alert)) == ("/bases/acme/Giant", "You follow acme/Giant.")
    assert list(alerts.of(cast["carol"])) == [alert]
    assert BaseFollow.objects.filter(asked_at__isnull=True).count() == 3, "they follow it still"


@pytest.mark.skipif("dashboard" not in FEATURES, reason="the home of a person is a feature")
def test_the_home_has_the_news_of_what_one_watches_and_nothing_of_what_is_held_back(cast, reviews):
    def news():
        client = Client()
        client.force_login(cast["carol"])
        return client.get("/").content.decode().partition('id="followed"')[2].partition("</section>")[0]

    preferences.watch(reviews, "releases", cast.session("carol"))
    assert not news()
    better = change(cast, reviews, 1)
    dispatch.run()
    assert f"<code>{better.oid[:8]}</code>" in news()
    assert f'href="/alice/reviews/verdict/{better.oid}"' in news()
    withdrawals.hold(better, "A pickle with more than tensors.")
    assert not news()
