"""Each event reaches each consumer exactly once and in order, whatever crashes in between."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch
from django.utils import timezone

from features.webhooks import deliveries, verbs
from features.webhooks.models import Delivery
from features.webhooks.verbs import Wish
from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.kernel.policy import NOBODY
from registry.models import AuditEvent, Event, OutboxEvent, Repository
from registry.moderation import findings, quarantine
from registry.publish import branches, push, repositories
from registry.publish.push import MAIN, Inline, Intent
from registry.repos import refs
from registry.talk import dispatch, feed
from tests.cast import signed_in
from tests.together import at_once

alerts, events, rules = (pytest.importorskip(f"features.notify.{name}") for name in ("alerts", "events", "rules"))
Alert = alerts.Alert


def notify_nobody(*_: int) -> bool:
    """Notify no worker, since these tests run none."""
    return False


@pytest.fixture(autouse=True)
def _no_worker(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = settings.OUTBOX_DOORBELL = f"{__name__}.notify_nobody"


@pytest.fixture
def reviews(cast):
    """alice/reviews, which carol's webhook watches, and whose creation was told."""
    made = cast.repository("alice/reviews")
    dispatch.run()
    hook(cast, "carol")
    return made


def hook(cast, who, *domains):
    return verbs.create(Wish("https://example.org/x", [("user", "alice")], domains), cast.session(who))


def pushed(cast, repository, path="notes.txt"):
    return push.receive(Intent(repository, MAIN, cast.session("alice"), f"Add {path}"), [Inline(path, path.encode())])


def spoken(cast, repository):
    said(cast, "new", title="Which rank?", text="I wonder.")
    return repository.discussions.get()


def said(cast, form, **fields):
    """Send a form of discussions of alice/reviews as carol."""
    carol = Client()
    carol.force_login(cast["carol"])
    assert carol.post(f"/alice/reviews/discussions/{form}", fields).status_code == 302


def told():
    """Return what was made of events: entries of the feed after the creation, deliveries, alerts."""
    scopes = [row.payload["event"]["scope"] for row in Delivery.objects.order_by("pk")]
    return [*Event.objects.order_by("pk").values_list("kind", flat=True)][1:], scopes, Alert.objects.count()


def also(told, name="webhooks"):
    """Return the consumers, of whom this function is the one of that name."""
    known = dispatch.consumers() | {name: told}
    return lambda: known


def later(**by):
    OutboxEvent.objects.update(due_at=timezone.now() - timedelta(**by))


# --- nothing is lost, nothing is told twice --------------------------------------------------------------------------
def test_a_message_that_is_lost_costs_time_and_nothing_else(cast, reviews):
    pushed(cast, reviews)
    assert told() == ([], [], 0)
    assert dispatch.sweep() == 1
    assert told() == (["push"], ["repo.content"], 0)
    assert dispatch.sweep() == 0
    assert not OutboxEvent.objects.exists()


def test_what_is_rolled_back_is_never_told(cast, reviews):
    with transaction.atomic():
        repositories.set_private(reviews, True, cast.session("alice"))
        assert OutboxEvent.objects.count() == 1
        transaction.set_rollback(True)
    assert dispatch.sweep() == 0


class Killed(BaseException):
    """The end of a process."""


def test_a_process_that_dies_while_it_tells_leaves_all_of_it_to_the_next(cast, reviews, monkeypatch):
    def die(event):
        raise Killed

    pushed(cast, reviews)
    with monkeypatch.context() as patch:
        patch.setattr(
            dispatch, "consumers", lambda known=dispatch.consumers: known() | {"webhooks": die}
        )  # the feed's entry is written by then
        with pytest.raises(Killed):
            dispatch.run()
    assert told() == ([], [], 0)
    dispatch.sweep()
    assert told() == (["push"], ["repo.content"], 0)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_tell_at_once_each_event_is_told_once_and_in_its_order(cast, reviews):
    for number in range(5):
        pushed(cast, reviews, f"{number}.txt")
    handled = at_once(dispatch.run, dispatch.catch_up, dispatch.run, dispatch.catch_up)
    assert not [result for result in handled if isinstance(result, Exception)]
    dispatch.run()
    kinds, scopes, _ = told()
    assert (kinds, scopes) == (["push"] * 5, ["repo.content"] * 5)
    order = Event.objects.filter(kind="push").order_by("pk").values_list("revision", flat=True)[1:]
    line = reviews.revisions.order_by("pk").values_list("oid", flat=True)[1:]
    assert list(order) == list(line)


# --- a consumer that fails -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", [LookupError, NoReverseMatch, AssertionError])
def test_a_consumer_that_fails_keeps_neither_others_nor_later_events_waiting(cast, reviews, monkeypatch, caplog, fault):
    def fail(event):
        raise fault("A bug.")

    spoken(cast, reviews)
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "consumers", also(fail))
        assert dispatch.run() == 1
    assert "could not be handled" in caplog.text
    assert told() == ([], [], 1)
    assert OutboxEvent.objects.get().pending == ["webhooks"]
    said(cast, "1/comment", text="Eight.")
    assert dispatch.run() == 1, "the one that failed waits a while"
    assert told()[1] == ["discussion.comment"]
    later(seconds=1)
    assert dispatch.run() == 1
    assert told() == ([], ["discussion.comment", "discussion"], 1), "and nobody else was told again"


def test_an_event_that_nobody_can_handle_is_given_up_and_forgotten_after_a_month(cast, reviews, monkeypatch, caplog):
    def fail(event):
        raise LookupError("A bug.")

    monkeypatch.setattr(dispatch, "consumers", also(fail, "alerts"))
    spoken(cast, reviews)
    for _ in range(len(dispatch.PAUSES) + 3):
        dispatch.sweep()
        later(seconds=1)
    event = OutboxEvent.objects.get()
    assert (event.attempts, event.given_up_at is not None) == (len(dispatch.PAUSES) + 1, True)
    assert caplog.text.count("was given up") == 1
    OutboxEvent.objects.update(given_up_at=timezone.now() - timedelta(days=dispatch.KEPT_DAYS + 1))
    dispatch.sweep()
    assert not OutboxEvent.objects.exists()


def test_an_event_that_was_given_up_is_looked_at_and_tried_again_by_an_administrator(
    cast, client, reviews, monkeypatch
):
    def fail(event):
        raise LookupError("A bug.")

    with monkeypatch.context() as broken:
        broken.setattr(dispatch, "consumers", also(fail, "alerts"))
        spoken(cast, reviews)
        for _ in range(len(dispatch.PAUSES) + 1):
            dispatch.sweep()
            later(seconds=1)
    pushed(cast, reviews)
    given_up = OutboxEvent.objects.get(given_up_at__isnull=False)
    signed_in(client, cast["ada"], second_factor=True)
    rows = client.get("/admin/registry/outboxevent/").context["cl"].result_list
    assert list(rows) == [given_up], "what waits is not among them"
    page = client.get(f"/admin/registry/outboxevent/{given_up.pk}/change/").content.decode()
    assert "alice/reviews" in page
    assert "Which rank?" in page
    assert told()[2] == 0
    client.post("/admin/registry/outboxevent/act/retry/", {"id": given_up.pk})
    assert AuditEvent.objects.get(action="outbox:retry").actor == "ada"
    assert OutboxEvent.objects.filter(pk=given_up.pk, given_up_at=None, attempts=0).exists()
    assert dispatch.retry(given_up, cast["ada"]) is False, "it waits already"
    dispatch.run()
    assert not OutboxEvent.objects.exists()
    assert told()[2] == 1, "the owner is alerted, and nobody else is told twice"
    assert told()[1].count("discussion") == 1


# --- as it was then --------------------------------------------------------------------------------------------------
def test_what_is_deleted_before_it_is_told_is_told_as_it_was(cast, reviews):
    head = refs.resolve_ref(reviews, MAIN).oid
    repositories.delete(reviews, cast.session("alice"))
    dispatch.run()
    payload = Delivery.objects.get().payload
    assert payload["event"] == {"action": "delete", "scope": "repo"}
    assert (payload["repo"]["name"], payload["repo"]["headSha"]) == ("alice/reviews", head)
    assert [event.kind for event in feed.since(0, NOBODY, 10)] == ["delete"], "whoever has a copy must know"


def test_who_may_see_it_is_asked_of_how_it_was_and_not_of_how_it_is(cast, reviews):
    alice = cast.session("alice")
    repositories.set_private(reviews, True, alice)
    pushed(cast, reviews, "secret.txt")
    repositories.set_private(reviews, False, alice)
    dispatch.run()
    [message] = [row.payload for row in Delivery.objects.all()]
    assert message["event"]["scope"] == "repo.config"
    assert message["repo"]["private"] is False
    covert = cast.repository("alice/covert", private=True)
    repositories.delete(covert, alice)
    dispatch.run()
    assert "alice/covert" not in [event.name for event in feed.since(0, NOBODY, 100)]


def test_a_quarantine_of_what_is_deleted_meanwhile_still_reaches_those_who_have_copies(cast, reviews):
    quarantine.quarantine(reviews, cast.session("mona"), reason="malware")
    Repository.objects.filter(pk=reviews.pk).delete()
    dispatch.run()
    assert [event.kind for event in feed.since(0, NOBODY, 10)] == ["quarantine"]


def test_a_webhook_hears_nothing_of_what_happened_before_it_was_there(cast, reviews):
    pushed(cast, reviews)
    late = hook(cast, "dave")
    dispatch.run()
    assert not late.deliveries.exists()
    assert Delivery.objects.count() == 1


@pytest.mark.usefixtures("without_bin")
def test_a_thread_that_is_gone_alerts_nobody(cast, reviews):
    thread = spoken(cast, reviews)
    repositories.delete(reviews, cast.session("alice"))
    assert alerts.unread(cast["alice"]) == 0
    assert not Alert.objects.exists()
    assert not OutboxEvent.objects.filter(data__discussion__id=thread.pk).exists()


# --- readers and cost ------------------------------------------------------------------------------------------------
def test_whoever_reads_right_after_it_happened_reads_of_it(cast, reviews):
    mine = hook(cast, "alice")
    pushed(cast, reviews)
    assert verbs.deliveries(mine).count() == 1
    spoken(cast, reviews)
    assert alerts.unread(cast["alice"]) == 1
    pushed(cast, reviews, "more.txt")
    assert len(feed.since(0, NOBODY, 10)) == 3


def test_a_reader_handles_a_few_events_and_leaves_a_long_queue_to_the_workers(cast, reviews):
    def cost_of_reading():
        with CaptureQueriesContext(connection) as queries:
            alerts.unread(cast["alice"])
        return len(queries)

    cost_of_reading()  # which looks up the pull policy, for some seconds
    idle = cost_of_reading()
    for number in range(dispatch.BEFORE_READING):
        pushed(cast, reviews, f"{number}.txt")
    cost_of_reading()
    assert not OutboxEvent.objects.exists()
    for number in range(dispatch.BEFORE_READING + 1):
        pushed(cast, reviews, f"more-{number}.txt")
    cost_of_reading()  # the policy again, if that was seconds ago
    assert cost_of_reading() == idle
    assert OutboxEvent.objects.count() == dispatch.BEFORE_READING + 1
    dispatch.run()
    assert len(feed.since(0, NOBODY, 20)) == 2 * dispatch.BEFORE_READING + 2


def test_a_long_queue_goes_on_by_its_readers_where_no_worker_comes_by(cast, reviews):
    before = feed.last()
    for number in range(2 * dispatch.BEFORE_READING + 1):
        pushed(cast, reviews, f"{number}.txt")
    waiting = OutboxEvent.objects.count()
    assert feed.last() == before, "a worker may be at it"
    OutboxEvent.objects.update(due_at=timezone.now() - timedelta(seconds=dispatch.STALLED_SECONDS + 1))
    seen: list[int] = []
    while len(seen) < waiting:
        entries = feed.since(seen[-1] if seen else before, NOBODY, 100)
        assert 0 < len(entries) <= dispatch.BEFORE_READING, "no read handles more than a few"
        seen += [entry.seq for entry in entries]
    assert seen == list(range(before + 1, before + waiting + 1))
    assert not dispatch.has_waiting()


def test_a_push_writes_one_row_for_all_who_follow(cast, reviews):
    for who in ("alice", "bob", "dave"):
        hook(cast, who)
    quiet = cast.repository("bob/quiet", by="bob")
    counts = []
    for repository, who in ((quiet, "bob"), (reviews, "alice")):
        with CaptureQueriesContext(connection) as queries:
            push.receive(Intent(repository, MAIN, cast.session(who), "Add a"), [Inline("a", b"a")])
        counts.append(len(queries))
    assert counts[0] == counts[1], "it costs a push nothing that somebody listens"


def test_a_kind_of_event_is_told_by_somebody(cast, reviews):
    tellers = {*deliveries.MESSAGES, *rules.RULES, *events.SPECIAL, *findings.CONSUMERS, Kind.FANNED_OUT}
    tellers.add(Kind.NAME_OBSERVED)  # opens a case, where moderators keep cases
    assert tellers == set(Kind)


def test_a_branch_that_is_made_is_no_push_for_those_who_mirror(cast, reviews):
    branches.create_ref(reviews, "refs/heads/next", refs.resolve_ref(reviews, MAIN), cast.session("alice"))
    dispatch.run()
    assert told() == ([], ["repo.content"], 0)
    assert outbox.Snapshot.of(reviews).full_name == "alice/reviews"


def test_a_thousand_entries_are_numbered_by_a_few_statements(cast, reviews):
    feed.since(0, NOBODY, 1)
    last = Event.objects.order_by("-seq").values_list("seq", flat=True)[0]
    Event.objects.bulk_create(
        Event(kind="push", repository=reviews, type="model", name="alice/reviews", was_public=True) for _ in range(1000)
    )
    with CaptureQueriesContext(connection) as queries:
        feed.since(0, NOBODY, 1)
    assert not [query for query in queries if query["sql"].startswith("UPDATE")], "a reader numbers nothing"
    with CaptureQueriesContext(connection) as queries:
        dispatch.sweep()
    assert len([query for query in queries if query["sql"].startswith("UPDATE")]) <= 5
    seqs = list(Event.objects.filter(seq__gt=last).order_by("pk").values_list("seq", flat=True))
    assert seqs == list(range(last + 1, last + 1001))
