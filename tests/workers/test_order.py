"""The order of the queue: owners in turn, warm bases first for a while, capabilities; and the reasons for waiting."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from dovetail.adapters.results.report import EngineRow
from registry.kernel.errors import ClaimStale
from registry.models import Base, Comparison, Ref, Revision, Verdict, WorkerHeartbeat
from registry.proof.verdicts import comparisons, jobs, queue, requests, sweeps
from registry.proof.verdicts.queue import Capabilities
from tests.workers.conftest import BASE, NOTIFIED
from tests.workers.test_verdicts import FAILED, PASSED, expire
from workers import lifecycle, tasks
from workers.engines import capabilities, warm_engines
from workers.loop import WorkLoop
from workers.validation import pipeline

OTHER = "tiny/other"
BOTH = Capabilities(frozenset({BASE, OTHER}), frozenset(), ("e5", "e4"))


@pytest.fixture(autouse=True)
def _bases(db):
    for name in (BASE, OTHER):
        Base.objects.get_or_create(id=name, defaults={"revision": "1", "sha256": "0" * 64})


@pytest.fixture
def wanted(cast):
    """Ask for a verdict on a new revision of somebody's adapter."""
    made = iter(range(10_000))

    def want(who: str = "alice", base: str = BASE, format_name: str = "peft", **more) -> Verdict:
        number = next(made)
        repository = cast.repository(f"{who}/a{number}", by=who)
        revision = Revision.objects.create(repository=repository, oid=f"{number:040x}", title="push", author=cast[who])
        return requests.request(revision, base, format_name, **more)

    return want


def order(able: Capabilities = BOTH, number: int = 100) -> list[int]:
    """Let one worker claim until nothing is left, and return what it got."""
    claims = [jobs.claim_next("w", able) for _ in range(number)]
    return [claim.verdict.pk for claim in claims if claim]


def keys(*rows: Verdict) -> list[int]:
    return [row.pk for row in rows]


# --- owners ----------------------------------------------------------------------------------------------------------
def test_who_pushed_one_waits_for_one_of_each_and_not_for_all(wanted):
    many = [wanted("alice") for _ in range(6)]
    assert jobs.claim_next("w", BOTH).verdict == many[0]
    one, two = wanted("bob"), wanted("carol")
    assert order() == keys(many[1], one, two, *many[2:])


def test_owners_with_many_each_take_turns(wanted):
    alice, bob = [wanted("alice") for _ in range(4)], [wanted("bob") for _ in range(4)]
    assert order() == [pk for pair in zip(keys(*alice), keys(*bob), strict=True) for pk in pair]


def test_the_rows_of_one_owner_have_consecutive_turns_from_the_one_in_front(wanted):
    assert [wanted("alice").turn for _ in range(3)] == [0, 1, 2]
    assert order(number=2)
    assert [wanted("bob").turn for _ in range(2)] == [2, 3]


def test_a_renewal_of_everything_is_one_owner_more(wanted):
    renewals = [wanted("alice", cause="renewal") for _ in range(5)]
    assert jobs.claim_next("w", BOTH).verdict == renewals[0]
    pushed = wanted("alice")
    assert order()[:2] == keys(renewals[1], pushed)


def test_what_the_hub_wants_itself_fills_nobodys_limit(wanted, settings):
    settings.OWNER_PENDING = 1
    proven = [wanted("alice") for _ in range(2)]
    Verdict.objects.update(state="passed", finished_at=Now(), turn=None, held_at=None)
    for row in proven:
        assert requests.again(row.revision, by=None)[1]
    arrived = wanted("alice", cause="base")
    assert not queue.held().exists()
    assert not Verdict.objects.filter(state="queued", owner__isnull=False).exists()
    assert wanted("alice").turn is not None, "alice has her place all the same"
    assert arrived.turn is not None


def test_the_engine_that_a_format_needs_is_known_when_it_is_proven_again(wanted):
    row = wanted(format_name="adapters")
    repository = row.revision.repository
    repository.format = "adapters"
    Verdict.objects.update(state="passed", finished_at=Now(), turn=None, format="")  # as before there was a queue
    assert requests.request(row.revision, BASE, again=True).format == "adapters"


def test_what_strangers_propose_keeps_the_adapters_own_from_nothing(cast, wanted, settings):
    settings.OWNER_PENDING = 2
    mine = wanted("alice")
    repository = mine.revision.repository
    pushed = {
        (who, number): Revision.objects.create(
            repository=repository, oid=f"{ord(who[0]):039x}{number}", author=cast[who]
        )
        for who in ("carol", "alice")
        for number in range(3 if who == "carol" else 1)
    }
    for (who, number), revision in pushed.items():
        if who == "carol":
            Ref.objects.create(repository=repository, name=f"refs/pr/{number}", revision=revision)
    rows = {at: requests.request(revision, BASE, "peft") for at, revision in pushed.items()}
    assert rows["alice", 0].held_at is None
    assert rows["carol", 2].held_at is not None
    assert {row.owner for row in (mine, rows["alice", 0])} == {repository.namespace}
    assert rows["carol", 0].owner == cast["carol"].namespace


def test_who_copies_an_adapter_takes_no_place_of_its_authors(cast, wanted):
    source = wanted("alice").revision
    copied = Revision.objects.create(
        repository=cast.repository("carol/copy", by="carol"), oid="c" * 40, author=source.author
    )
    assert requests.request(copied, BASE, "peft").owner == cast["carol"].namespace


def test_what_an_owner_pushes_beyond_the_limit_waits_outside_says_so_and_moves_up(wanted, settings):
    settings.OWNER_PENDING = 2
    rows = [wanted("alice") for _ in range(4)]
    other = wanted("bob")
    held = Verdict.objects.get(pk=rows[3].pk)
    assert "2 adapters in the queue" in queue.why(held)
    assert "DOVETAIL_OWNER_PENDING" in queue.why(held)
    assert "number 2 of those that come after" in queue.why(held)
    assert jobs.claim(held.pk, "w") is None
    assert order(number=1) == keys(rows[0])
    assert "number 1 of" in queue.why(Verdict.objects.get(pk=rows[3].pk)), "one moved up"
    assert sorted(order()) == keys(*rows[1:], other)


def test_a_place_that_nobody_took_is_given_by_the_sweep(wanted, settings):
    settings.OWNER_PENDING = 1
    first, second = wanted("alice"), wanted("alice")
    first.revision.repository.delete()
    assert order() == []
    sweeps.sweep()
    assert order() == keys(second)


# --- bases -----------------------------------------------------------------------------------------------------------
def test_a_worker_may_stay_with_its_base_and_then_takes_whose_turn_it_is(wanted):
    rows = [wanted("alice", base) for base in (BASE, OTHER, BASE, OTHER, BASE)]
    stay = [jobs.claim_next("w", BOTH, warm=[OTHER], stay=True).verdict.pk for _ in range(2)]
    assert stay == keys(rows[1], rows[3])
    assert jobs.claim_next("w", BOTH, warm=[OTHER], stay=True).verdict == rows[0], "nothing is left there"
    assert jobs.claim_next("w", BOTH, warm=[OTHER], stay=False).verdict == rows[2]


def test_a_worker_takes_only_what_is_on_its_shelf_and_what_its_engines_run(wanted):
    here, there, library = wanted(), wanted(base=OTHER), wanted(format_name="adapters")
    nothing = wanted(base="/home/alice/model")
    assert order(Capabilities(frozenset({BASE}), frozenset({"adapters"}))) == keys(here, nothing)
    assert order(Capabilities(frozenset({BASE}), frozenset())) == keys(library)
    assert order(Capabilities(frozenset({OTHER}))) == keys(there)


def test_a_base_that_left_the_shelf_is_waited_for(wanted):
    row = wanted()
    Base.objects.filter(id=BASE).delete()
    assert order() == []
    assert "not in this hub's base cache" in Verdict.objects.get(pk=row.pk).reason


# --- workers ---------------------------------------------------------------------------------------------------------
def live(name: str, *bases: str, **more) -> None:
    offer = {
        "door": f"{name}@here",
        "slots": 1,
        "bases": dict.fromkeys(bases, "0" * 64),
        "engines": ["e5"],
        "lacks": {},
    }
    jobs.sign_of_life(name, offer=queue.Offer.read(offer | more))


def test_what_no_living_worker_has_says_so_stands_aside_and_comes_back(wanted):
    live("w1", BASE)
    far, near = wanted(base=OTHER), wanted()
    assert f"a worker with the base model {OTHER}" in queue.why(far)
    sweeps.sweep()
    far.refresh_from_db()
    assert (far.turn, far.reason) == (None, queue.why(far))
    assert order() == keys(near)
    live("w2", OTHER)
    assert sweeps.sweep().released == 1
    assert order() == keys(far)


def test_an_engine_that_no_worker_has_is_waited_for_by_its_name(wanted):
    row = wanted(format_name="adapters")
    live("w1", BASE, lacks={"adapters": "e4"}), live("w2", lacks={"adapters": "e4"})
    assert queue.why(row).startswith("Waiting for engine e4, for the format adapters, which this hub does not have")
    live("w3", lacks={"peft": "e5"})
    assert f"a worker with the base model {BASE}" in queue.why(row), "an engine alone is not enough"


def test_a_worker_waits_for_what_it_can_do(wanted):
    assert not queue.waits_for(BOTH)
    wanted(base=OTHER)
    assert queue.waits_for(BOTH)
    assert not queue.waits_for(Capabilities(frozenset({BASE})))


def test_a_worker_that_does_not_say_how_many_processes_it_has_has_one(db):
    assert queue.Offer.read({}).slots == 1


def test_lists_show_the_last_answer_while_a_revision_is_proven_again(wanted):
    row = wanted()
    repository = row.revision.repository
    Ref.objects.filter(repository=repository, name="refs/heads/main").update(revision=row.revision)

    def shown(state: str, number: int) -> tuple[str, str]:
        columns = {"state": state, "finished_at": None} if state == "queued" else queue.final(state)
        Verdict.objects.filter(pk=row.pk).update(**columns, number=number)
        queue.show(Verdict.objects.select_related("revision").get(pk=row.pk))
        repository.refresh_from_db()
        return repository.state, repository.outcome

    assert shown("queued", 1) == ("queued", "queued")
    assert shown("passed", 1) == ("passed", "passed")
    assert shown("queued", 2) == ("queued", "passed")
    assert shown("errored", 2) == ("errored", "passed")
    assert shown("failed", 2) == ("failed", "failed")


def test_while_no_worker_lives_nothing_is_set_aside(wanted):
    row = wanted()
    live("w1", OTHER)
    WorkerHeartbeat.objects.update(beat_at=Now() - timedelta(minutes=5))
    sweeps.sweep()
    assert order() == keys(row)


def test_where_not_all_can_do_it_those_that_can_are_told_by_name(wanted):
    row = wanted(base=OTHER)
    live("w1", OTHER), live("w2", OTHER)
    assert queue.queues_for(row.pk) == [], "whoever comes first"
    live("w3", BASE)
    assert queue.queues_for(row.pk) == ["w1@here", "w2@here"]
    live("w4", OTHER, lacks={"peft": "e5"})
    assert queue.queues_for(row.pk) == ["w1@here", "w2@here"]


def test_those_who_wait_are_told_behind_how_many_and_about_how_long(wanted):
    done = wanted("bob")
    jobs.record(jobs.claim(done.pk, "w"), PASSED, 6_000)
    rows = [wanted("alice") for _ in range(13)]
    assert queue.why(rows[0]) == ""
    assert queue.why(rows[12]) == "12 adapters wait before it."
    live("w1", BASE, slots=2)
    assert queue.why(rows[1]) == "1 adapter waits before it; about 3 s."
    assert queue.why(rows[12]) == "12 adapters wait before it; about 36 s."
    with patch.object(queue, "_a_second", lambda fleet: 0.12):
        assert queue.why(rows[12]) == "12 adapters wait before it; about 2 min.", "100 seconds are no longer told so"
    jobs.record(jobs.claim(rows[0].pk, "w"), FAILED, 600_000)
    assert "about 28 min" in queue.why(rows[12])


def test_a_claim_costs_the_same_however_many_wait(wanted):
    """Counted in what the database looks at, since times prove nothing on a busy machine."""
    wanted("bob")
    row = wanted("alice")
    template = Verdict.objects.get(pk=row.pk)
    Verdict.objects.bulk_create(
        Verdict(revision=template.revision, number=10 + n, base=BASE, route=BASE, owner=template.owner, turn=n)
        for n in range(2_000)
    )
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert jobs.claim_next("w", BOTH, warm=[BASE], stay=True)
    assert len(seen) < 25
    if connection.vendor == "sqlite":
        asked = [query["sql"] for query in seen if '"turn" ASC' in query["sql"]]
        plans = []
        with connection.cursor() as cursor:
            for sql in asked:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plans += [line[3] for line in cursor.fetchall()]
        assert plans
        assert [
            plan for plan in plans if "TEMP B-TREE" in plan or (plan.startswith("SCAN") and "INDEX" not in plan)
        ] == []


# --- comparisons -----------------------------------------------------------------------------------------------------
E4 = [("e4", BASE)]


@pytest.fixture
def owed(wanted) -> Verdict:
    """A verdict that passed, and is owed the judgement of another engine."""
    row = wanted()
    jobs.record(jobs.claim(row.pk, "w"), replace(PASSED, engines=(EngineRow("e5", state="passed"),)), 5, compare=["e4"])
    return Verdict.objects.get(pk=row.pk)


def free_again() -> None:
    Comparison.objects.update(free_at=Now() - timedelta(seconds=1))


def test_a_comparison_is_taken_once_and_gone_when_it_is_done(owed):
    taken = comparisons.claim(BOTH, E4)
    assert comparisons.claim(BOTH, E4) is None
    comparisons.record(taken, EngineRow("e4", state="passed"))
    owed.refresh_from_db()
    assert [row["name"] for row in owed.result["engines"]] == ["e5", "e4"]
    assert not Comparison.objects.exists()


def test_a_worker_that_died_in_a_comparison_costs_an_attempt_and_the_third_is_the_last(owed):
    for _ in range(3):
        dead = comparisons.claim(BOTH, E4)
        free_again()
    assert comparisons.claim(BOTH, E4) is None
    sweeps.sweep()
    with pytest.raises(ClaimStale):
        comparisons.record(dead, EngineRow("e4", state="passed"))
    owed.refresh_from_db()
    assert (owed.state, owed.result["engines"][-1]["state"]) == ("passed", "errored")
    assert "3 attempts" in owed.result["engines"][-1]["message"]


def test_who_is_late_with_the_last_attempt_and_was_heard_is_not_overruled(owed):
    for _ in range(3):
        late = comparisons.claim(BOTH, E4)
        free_again()
    [row] = Comparison.objects.all()  # as a sweep read it, before
    comparisons.record(late, EngineRow("e4", state="passed"))
    assert not comparisons._end(row)
    owed.refresh_from_db()
    assert [row["state"] for row in owed.result["engines"][1:]] == ["passed"]


def test_a_comparison_is_for_who_has_the_engine_and_is_forgotten_when_it_is_asked_again(owed):
    assert comparisons.claim(Capabilities(frozenset({BASE}), engines=("e5",)), E4) is None
    assert comparisons.coldest(BOTH) == ("e4", BASE)
    assert comparisons.coldest(BOTH, [("e4", BASE.lower())]) is None, "its engine died at its start a while ago"
    requests.request(owed.revision, BASE, again=True)
    assert comparisons.coldest(BOTH) is None


def test_a_comparison_wakes_a_worker_that_has_nothing_else_to_do(owed, monkeypatch):
    rang = []
    monkeypatch.setattr(tasks.validate, "apply_async", lambda **options: rang.append(options["queue"]))
    monkeypatch.setattr(capabilities, "unfit", lambda: "")
    monkeypatch.setattr(capabilities, "current", lambda: BOTH)
    assert lifecycle._look_for_work("w@host")
    assert len(rang) == 1
    Comparison.objects.all().delete()
    assert not lifecycle._look_for_work("w@host")
    assert len(rang) == 1


# --- memory ----------------------------------------------------------------------------------------------------------
class Asleep:
    """Stands for an engine: a process of some size."""

    is_alive, is_ready, is_leaving, has_failed = True, True, False, False
    sharers = 1

    def __init__(self, *arguments: str) -> None:
        self.pid = self.parent = id(self)
        self.arguments = arguments

    def stop(self) -> None:
        self.is_alive = False


@pytest.fixture
def engines(monkeypatch) -> warm_engines.Engines:
    monkeypatch.setattr("workers.engines.warm_engines.Engine.serve", Asleep)
    monkeypatch.setattr(warm_engines, "memory", lambda process: 300)
    monkeypatch.setattr(warm_engines, "RUNTIME_BYTES", 200)
    return warm_engines.Engines(1000)


def test_engines_are_kept_while_there_is_memory_and_the_one_used_longest_ago_goes_first(engines):
    for name in "abc":
        engines.get(("e5", name), (name,), size=100)
    assert engines.labels == [("e5", "c"), ("e5", "b"), ("e5", "a")], "900 of 1,000"
    engines.get(("e5", "a"), ("a",))
    engines.get(("e5", "d"), ("d",), size=100)
    assert engines.labels == [("e5", "d"), ("e5", "a"), ("e5", "c")]
    engines.get(("e5", "huge"), ("huge",), size=5000)
    assert engines.labels == [("e5", "huge")], "what is needed starts in any case"


def test_an_engine_of_a_base_that_is_another_one_now_is_replaced(engines):
    old = engines.get(("e5", "a"), ("a", "revision 1"))
    assert engines.get(("e5", "a"), ("a", "revision 1")) is old
    assert engines.get(("e5", "a"), ("a", "revision 2")) is not old
    assert not old.is_alive


def test_the_memory_of_a_process_is_measured():
    assert warm_engines.memory(1 << 22) == 0
    assert warm_engines.memory(os.getpid()) > 10 << 20


def test_a_shift_stays_with_a_base_ten_times_as_long_as_its_start_took(wanted, engine, monkeypatch):
    monkeypatch.setattr(capabilities, "here", lambda: {BASE: "", OTHER: ""})
    monkeypatch.setattr(pipeline, "validate", lambda claim: jobs.give_back(claim, "no"))
    monkeypatch.setattr(type(warm_engines.ENGINES), "start_seconds", lambda self: 0.5)
    wanted()
    loop, began = WorkLoop(), time.monotonic()
    assert loop.step()
    assert began + 5 <= loop.stays_until <= time.monotonic() + 5


def test_a_lost_worker_is_first_again(wanted):
    lost, other = wanted("alice"), wanted("bob")
    assert jobs.claim_next("w", BOTH).verdict == lost
    expire(lost)
    NOTIFIED.clear()
    sweeps.sweep()
    assert order() == keys(lost, other)
