"""Two at once, on real connections: exactly one of them gets what there is to get."""

import threading
import time
from typing import Any

import pytest
from django.utils import timezone

from registry.bytes import tensor_digests
from registry.models import Attempt, Comparison, PickleScan, Ref, Repository, Revision, TensorDigest, Verdict
from registry.proof import pickle_scans
from registry.proof.verdicts import comparisons, jobs, queue, requests, sweeps
from registry.proof.verdicts.queue import LOST
from registry.proof.verified.verified import move_verified
from tests.together import at_once
from tests.workers.test_verdicts import FAILED, PASSED, claimed, expire

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_many_workers_one_gets_the_row(pushed, base):
    verdict = pushed()
    claims = at_once(*[lambda n=n: jobs.claim(verdict.pk, f"w{n}") for n in range(6)])
    assert [type(claim).__name__ for claim in claims].count("Claim") == 1, claims
    assert [claim for claim in claims if claim is None] == [None] * 5, claims
    assert Attempt.objects.count() == 1


def test_of_many_workers_who_ask_for_work_each_gets_another_row(pushed, base):
    rows = {pushed(message=f"push {number}").pk for number in range(6)}
    able = queue.Capabilities(frozenset({base.id}))
    claims = at_once(*[lambda n=n: jobs.claim_next(f"w{n}", able) for n in range(6)])
    assert {claim.verdict.pk for claim in claims} == rows
    assert Attempt.objects.count() == 6
    assert at_once(lambda: jobs.claim_next("w", able)) == [None]


def test_no_claim_of_a_comparison_comes_back_empty_while_one_waits(pushed, base):
    for number in range(8):
        comparisons.ask(pushed(message=f"push {number}"), ["e4"])
    able = queue.Capabilities(frozenset({base.id}), engines=("e4",))
    waiting = set(Comparison.objects.values_list("pk", flat=True))
    claims = at_once(*[lambda: comparisons.claim(able, [("e4", base.id)])] * 8)
    assert {claim.row.pk for claim in claims} == waiting
    assert sorted(Comparison.objects.values_list("fence", "attempt")) == sorted((claim.fence, 1) for claim in claims)


def test_no_claim_of_a_search_comes_back_empty_while_an_author_waits(cast, pushed):
    for author in range(1, 9):
        tensor_digests.enqueue_digests([f"{author}{number}" * 32 for number in range(3)], author)
    rows = at_once(*[tensor_digests.claim] * 8)
    assert {row.author for row in rows} == set(range(1, 9))
    assert TensorDigest.objects.filter(attempts=1).count() == 8
    assert at_once(*[tensor_digests.claim] * 2) == [None, None], "one search of each author runs"
    names = ("alice", "bob", "carol", "dave")
    for author in (cast[name] for name in names for _ in range(2)):
        Revision.objects.filter(pk=pushed(message=f"{author} {Revision.objects.count()}").revision_id).update(
            author=author
        )
    PickleScan.objects.exclude(revision__author__username__in=names).delete()
    scans = at_once(*[pickle_scans.claim] * 4)
    assert sorted(row.revision.author.username for row in scans) == sorted(names)


def test_of_many_sweeps_one_takes_the_job_from_a_dead_worker(pushed, base):
    verdict = pushed()
    claimed(verdict)
    expire(verdict)
    swept = at_once(*[sweeps.sweep] * 4)
    assert sum(result.lost for result in swept) == 1, swept
    assert Verdict.objects.get().attempt == 1


def test_a_sweep_and_a_late_result_do_not_both_win(pushed, base):
    for number in range(5):
        verdict = pushed(message=f"push {number}")
        claim = claimed(verdict)
        expire(verdict)
        at_once(sweeps.sweep, lambda claim=claim: jobs.record(claim, PASSED, 1))
        state = Verdict.objects.get(pk=verdict.pk).state
        assert state in ("queued", "passed")
        assert verdict.attempts.get().outcome == ("passed" if state == "passed" else LOST)


def test_two_results_of_one_adapter_leave_verified_at_the_newer(pushed, base):
    for number in range(5):
        one, two = pushed(message=f"one {number}"), pushed(message=f"two {number}")
        claims = claimed(one), claimed(two)
        at_once(*[lambda claim=claim: jobs.record(claim, PASSED, 1) for claim in claims])
        assert Ref.objects.get(name="refs/verified").revision_id == two.revision_id


def test_two_results_of_an_adapter_in_the_bin_leave_one_verified(pushed, base, monkeypatch):
    one, two = pushed(message="one"), pushed(message="two")
    claims = claimed(one), claimed(two)
    Repository.objects.update(binned_at=timezone.now())
    is_moved = threading.Event()

    def move_slowly(*arguments: Any) -> None:
        move_verified(*arguments)
        if not is_moved.is_set():
            is_moved.set()
            time.sleep(1)  # before the commit, while the other one waits

    monkeypatch.setattr("registry.proof.verdicts.queue.move_verified", move_slowly)

    def record_second() -> None:
        is_moved.wait()
        jobs.record(claims[1], PASSED, 1)

    at_once(lambda: jobs.record(claims[0], PASSED, 1), record_second)
    assert Ref.objects.get(name="refs/verified").revision_id == two.revision_id


def test_two_who_ask_again_at_once_get_the_same_verdict(pushed, base):
    verdict = pushed()
    jobs.record(claimed(verdict), FAILED, 1)
    asked = at_once(*[lambda: requests.request(verdict.revision, verdict.base, again=True).pk] * 2)
    assert asked[0] == asked[1]
    assert Verdict.objects.count() == 2
