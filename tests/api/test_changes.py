"""The feed of what happened: complete, in order, and silent about what its reader may not see."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry.kernel.policy import NOBODY
from registry.models import Event, Repository
from registry.moderation import quarantine
from registry.publish import moves, repositories
from registry.talk import dispatch, feed
from tests.api.conftest import judged, pushed


def note(repository, **data):
    """Add an entry to the feed, as an event does that is dispatched."""
    about = {"type": repository.type, "name": repository.full_name, "was_public": not repository.private}
    return Event.objects.create(kind="push", repository=repository, data=data, **about)


def told(client, since=0, **query):
    said = client.get("/api/v1/changes", {"since": since, **query}).json()
    return [(one["event"], one["adapter"]) for one in said["items"]]


def test_all_that_mirrors_must_know_is_told_in_order(ask, cast):
    made = cast.repository("alice/reviews")
    revision = pushed(cast, made)
    judged(revision)
    moves.move(made, "alice/opinions", cast.session("alice"))
    made = Repository.objects.get(pk=made.pk)
    quarantine.quarantine(made, cast.session("mona"), reason="malware")
    quarantine.release(made, cast.session("mona"), reason="a mistake")
    repositories.delete(Repository.objects.get(pk=made.pk), cast.session("alice"))
    dispatch.run()
    said = ask().get("/api/v1/changes").json()
    assert [one["event"] for one in said["items"]] == ["quarantine", "delete"], "of what is gone, that it is gone"
    rows = list(Event.objects.order_by("seq").values_list("kind", "name", "data"))
    assert [kind for kind, _, _ in rows] == ["push", "push", "verdict", "move", "quarantine", "release", "delete"]
    assert rows[1][2] == {"ref": "refs/heads/main"}
    assert rows[2][2] == {"state": "passed", "number": 1, "check": None}
    assert rows[3][1:] == ("alice/opinions", {"before": "alice/reviews"})
    assert Event.objects.get(kind="verdict").revision == revision.oid


def test_a_reader_goes_on_where_he_was(ask, cast):
    for number in range(5):
        cast.repository(f"alice/a{number}")
    seen, address = [], "/api/v1/changes?limit=2"
    while address:
        said = ask().get(address).json()
        seen += [one["adapter"] for one in said["items"]]
        address = said["next"]
    assert seen == [f"alice/a{number}" for number in range(5)]
    last = ask().get("/api/v1/changes?limit=1000").json()["items"][-1]["seq"]
    assert told(ask(), last) == []
    cast.repository("alice/new")
    assert told(ask(), last) == [("push", "alice/new")]
    assert ask().get("/api/v1/changes?since=-1").status_code == 400


def test_what_is_private_is_told_to_members_and_its_end_to_nobody_else(ask, cast):
    made = cast.repository("acme/secret", private=True)
    assert told(ask("bob")) == [("push", "acme/secret")]
    assert told(ask("carol")) == told(ask()) == []
    quarantine.quarantine(made, cast.session("mona"), reason="malware")
    quarantine.release(made, cast.session("mona"), reason="a mistake")
    repositories.delete(Repository.objects.get(pk=made.pk), cast.session("alice"))
    assert told(ask("carol")) == told(ask()) == []


def test_what_is_committed_late_is_not_missed(cast):
    first, second = cast.repository("alice/a"), cast.repository("alice/b")
    feed.since(0, NOBODY, 1)  # makes the entries of the creations
    late = note(first, ref="late")
    Event.objects.filter(pk=late.pk).delete()  # its transaction goes on while others end: nobody sees the row
    note(second, ref="early")
    dispatch.number_entries()
    last = feed.since(0, cast.session("alice"), 100)[-1]
    assert last.data == {"ref": "early"}
    late.save(force_insert=True)
    assert feed.since(last.seq, cast.session("alice"), 100) == [], "a reader numbers nothing"
    dispatch.number_entries()
    assert [event.data for event in feed.since(last.seq, cast.session("alice"), 100)] == [{"ref": "late"}]


def test_what_the_release_before_left_without_a_number_comes_after_what_has_one(cast):
    cast.repository("alice/a")
    dispatch.run()
    Event.objects.update(seq=None)
    Event.objects.create(kind="push", type="model", name="x/y", was_public=True, seq=dispatch.next_number())
    dispatch.sweep()
    assert [event.seq for event in feed.since(0, cast.session("alice"), 10)] == [2]


def test_a_page_of_the_feed_costs_the_same_however_long(ask, cast):
    client, made = ask(), cast.repository("alice/a")

    def cost():
        dispatch.number_entries()
        told(client)
        with CaptureQueriesContext(connection) as queries:
            rows = len(told(client))
        return rows, len(queries)

    note(made)
    assert cost() == (2, 4)
    for _ in range(50):
        note(made)
    assert cost() == (52, 4)


def test_who_asks_for_one_line_among_much_that_is_private_costs_few_queries(cast):
    secret = cast.repository("acme/secret", private=True)
    for number in range(200):
        note(secret, ref=f"refs/heads/{number}")
    cast.repository("alice/open")
    dispatch.number_entries()
    feed.since(0, NOBODY, 1)
    with CaptureQueriesContext(connection) as asked:
        (seen,) = feed.since(0, NOBODY, 1)
    assert seen.name == "alice/open"
    assert len(asked) < 25


def test_a_page_says_how_far_it_tells_and_a_new_follower_begins_at_the_end(ask, cast):
    made, secret = cast.repository("alice/a"), cast.repository("acme/secret", private=True)
    for repository in (made, made, secret):
        note(repository)
    dispatch.number_entries()
    first = ask().get("/api/v1/changes?since=0&limit=1").json()
    assert first["last"] == first["items"][-1]["seq"]
    rest = ask().get(f"/api/v1/changes?since={first['last']}").json()
    assert (len(rest["items"]), rest["last"]) == (2, rest["items"][-1]["seq"])
    newest = ask().get("/api/v1/changes?limit=0").json()
    assert (newest["items"], newest["last"] >= rest["last"]) == ([], True)
    assert ask().get(f"/api/v1/changes?since={newest['last']}").json()["last"] == newest["last"]
