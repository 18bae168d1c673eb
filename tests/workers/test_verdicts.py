"""The row is the job: whatever happens to messages and workers, each verdict is decided once, by one claim."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from dovetail.adapters.results.report import CheckResult, Report
from registry.kernel.errors import ClaimStale
from registry.models import Attempt, Base, Ref, Repository, Verdict, WorkerHeartbeat
from registry.proof.verdicts import jobs, queue, requests, sweeps
from tests.workers.conftest import BASE

PASSED = Report(state="passed", checks=(CheckResult("file.header", "passed"),), kind="lora", depth="run")
FAILED = Report(state="failed", checks=(CheckResult("tensors.pair", "failed", "x", "y"),))
ERRORED = Report(state="errored", checks=(CheckResult("engine.check-crashed", "failed", "boom"),))
LIMIT = Report(state="failed", checks=(CheckResult("limits.memory", "failed", "4 GB"),))


@pytest.fixture(autouse=True)
def _on_commit(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        yield


def fresh(verdict: Verdict) -> Verdict:
    return Verdict.objects.get(pk=verdict.pk)


def claimed(verdict: Verdict, worker: str = "w1") -> queue.Claim:
    claim = jobs.claim(verdict.pk, worker)
    assert claim is not None
    return claim


def expire(verdict: Verdict) -> None:
    Verdict.objects.filter(pk=verdict.pk).update(lease_until=Now() - timedelta(seconds=1))


def decided(verdict: Verdict, report: Report = PASSED) -> Verdict:
    jobs.record(claimed(verdict), report, 5)
    return fresh(verdict)


# --- the way of a verdict --------------------------------------------------------------------------------------------
def test_a_push_queues_a_verdict_and_rings(pushed, base, notified):
    verdict = pushed()
    assert (verdict.state, verdict.reason, verdict.base, verdict.attempt) == ("queued", "", BASE, 0)
    assert notified == [verdict.pk]
    assert Repository.objects.get().state == "queued"


def test_a_claim_is_running_with_a_lease_and_a_result_is_final(pushed, base, settings):
    verdict = pushed()
    claim = claimed(verdict)
    running = fresh(verdict)
    assert (running.state, running.attempt, Repository.objects.get().state) == ("running", 1, "queued")
    assert Verdict.objects.filter(lease_until__gt=Now() + timedelta(seconds=settings.LEASE_SECONDS - 5)).exists()
    jobs.record(claim, PASSED, 412)
    final = fresh(verdict)
    assert (final.state, final.duration_ms, final.lease_until, final.fence) == ("passed", 412, None, "")
    assert final.report == PASSED
    assert "state" not in final.result, "it is a column"
    assert Repository.objects.get().state == "passed"
    assert Attempt.objects.get().outcome == "passed"


def test_progress_is_seen_while_it_runs(pushed, base):
    verdict = pushed()
    jobs.progress(claimed(verdict), PASSED.checks)
    assert fresh(verdict).report.checks == PASSED.checks


def test_asking_twice_is_one_verdict_and_asking_again_is_another(pushed, base):
    verdict = pushed()
    assert requests.request(verdict.revision, BASE) == verdict
    assert requests.request(verdict.revision, BASE, again=True) == verdict
    decided(verdict)
    assert requests.request(verdict.revision, BASE) == verdict
    second = requests.request(verdict.revision, BASE, again=True)
    assert (second.number, second.state, requests.latest(verdict.revision)) == (2, "queued", second)


# --- claims ----------------------------------------------------------------------------------------------------------
def test_a_second_claim_gets_nothing(pushed, base):
    verdict = pushed()
    claimed(verdict)
    assert jobs.claim(verdict.pk, "w2") is None
    assert Attempt.objects.count() == 1


def test_a_finished_verdict_cannot_be_claimed_nor_recorded_twice(pushed, base):
    verdict = pushed()
    claim = claimed(verdict)
    jobs.record(claim, PASSED, 1)
    assert jobs.claim(verdict.pk, "w2") is None
    with pytest.raises(ClaimStale):
        jobs.record(claim, FAILED, 1)
    assert fresh(verdict).state == "passed"


def test_a_zombie_loses_every_write(pushed, base):
    verdict = pushed()
    zombie = claimed(verdict, "zombie")
    expire(verdict)
    sweeps.sweep()
    other = claimed(verdict, "w2")
    for write in (
        lambda: jobs.heartbeat(zombie),
        lambda: jobs.progress(zombie, []),
        lambda: jobs.record(zombie, FAILED, 1),
        lambda: jobs.give_back(zombie, "broke"),
    ):
        with pytest.raises(ClaimStale):
            write()
    jobs.record(other, PASSED, 1)
    assert fresh(verdict).state == "passed"
    assert list(Attempt.objects.order_by("number").values_list("worker", flat=True)) == ["zombie", "w2"]


def test_a_heartbeat_prolongs_the_lease(pushed, base):
    verdict = pushed()
    claim = claimed(verdict)
    expire(verdict)
    jobs.heartbeat(claim)
    assert sweeps.sweep().lost == 0
    assert fresh(verdict).state == "running"


def test_a_sweep_costs_the_same_however_many_wait_for_a_base(pushed):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            sweeps.sweep()
        return len(captured)

    pushed("org/absent")
    sweeps.sweep()
    one = queries()
    for number in range(5):
        pushed("org/absent", message=f"weights {number}")
    assert queries() == one


# --- what goes wrong -------------------------------------------------------------------------------------------------
def test_a_lost_worker_gives_the_job_to_the_next_and_the_third_loss_is_final(pushed, base, notified):
    verdict = pushed()
    for attempt in (1, 2):
        claimed(verdict, f"w{attempt}")
        expire(verdict)
        notified.clear()
        assert sweeps.sweep().lost == 1
        assert (fresh(verdict).state, fresh(verdict).attempt) == ("queued", attempt)
    claimed(verdict, "w3")
    expire(verdict)
    sweeps.sweep()
    final = fresh(verdict)
    assert final.state == "errored"
    (check,) = final.result["checks"]
    assert check["id"] == "engine.check-crashed"
    assert "w3 was lost" in check["message"]
    assert jobs.claim(verdict.pk, "w4") is None
    assert Repository.objects.get().state == "errored"


def test_a_crashing_check_is_tried_three_times(pushed, base):
    verdict = pushed()
    assert [decided(verdict, ERRORED).state for _ in range(3)] == ["queued", "queued", "errored"]
    assert fresh(verdict).report.checks == ERRORED.checks


def test_a_limit_is_believed_the_second_time(pushed, base):
    verdict = pushed()
    assert [decided(verdict, LIMIT).state for _ in range(2)] == ["queued", "failed"]


def test_a_part_of_the_hub_that_is_down_costs_no_attempt(pushed, base, notified):
    verdict = pushed()
    notified.clear()
    jobs.give_back(claimed(verdict), "the store is down", counted=False)
    waiting = fresh(verdict)
    assert (waiting.state, waiting.attempt, queue.why(waiting)) == ("queued", 0, "the store is down")
    assert jobs.claim(verdict.pk, "w2") is None, "not at once: it is down"
    assert sweeps.sweep().released == 0
    Verdict.objects.update(not_before=Now() - timedelta(seconds=1))
    assert sweeps.sweep().released == 1
    assert (notified, fresh(verdict).reason) == ([verdict.pk], "")
    assert jobs.claim(verdict.pk, "w2") is not None


def later(verdict: Verdict) -> None:
    Verdict.objects.filter(pk=verdict.pk).update(
        nudged_at=Now() - timedelta(minutes=2), queued_at=Now() - timedelta(minutes=2)
    )


def test_a_lost_message_is_sent_again_by_the_sweep(pushed, base, notified):
    verdict = pushed()
    notified.clear()
    assert sweeps.sweep().nudged == 0
    later(verdict)
    assert sweeps.sweep().nudged == 1
    assert notified == [verdict.pk]
    assert sweeps.sweep().nudged == 0


def test_a_message_that_never_left_is_sent_by_the_sweep(pushed, base, settings, notified):
    settings.DOORBELL = f"{__name__}.broken_doorbell"
    verdict = pushed()
    assert verdict.nudged_at is None
    settings.DOORBELL = "tests.workers.conftest.notify"
    Verdict.objects.update(queued_at=Now() - timedelta(minutes=2))
    assert sweeps.sweep().nudged == 1
    assert notified == [verdict.pk]


def broken_doorbell(verdict: int) -> bool:
    return False


def test_sweeping_twice_changes_nothing(pushed, base):
    verdict = pushed()
    claimed(verdict)
    expire(verdict)
    assert (sweeps.sweep().lost, sweeps.sweep().lost) == (1, 0)
    assert fresh(verdict).attempt == 1


# --- bases -----------------------------------------------------------------------------------------------------------
def test_a_verdict_waits_for_its_base_and_says_so(pushed, db, notified):
    verdict = pushed("acme/giant")
    assert verdict.state == "queued"
    assert "acme/giant" in verdict.reason
    assert "You can request it at /bases/acme/giant" in verdict.reason
    assert "manage.py" not in verdict.reason, "that is for administrators"
    assert jobs.claim(verdict.pk, "w") is None
    later(verdict)
    assert sweeps.sweep().nudged == 0


@pytest.mark.parametrize("written", ["base", "Base", "big/base"])
def test_a_verdict_that_waits_names_the_base_that_may_be_meant(pushed, base, written):
    assert f"Did the adapter's author mean {base.id}? You can request it" in pushed(written).reason
    assert "Did" not in pushed(f"{written}-2").reason


def test_the_longest_base_id_fits_into_the_reason(pushed, db):
    verdict = pushed(f"{'a' * 96}/{'b' * 96}")
    assert "You can request it at" in verdict.reason
    fresh(verdict).clean_fields(exclude=["result"])


def test_a_base_that_arrives_lets_its_verdicts_go_on_whatever_the_case(pushed, base, notified):
    verdict = pushed("Acme/Giant")
    notified.clear()
    arrived = Base.objects.create(id="acme/giant", revision="1", sha256="0" * 64)
    assert sweeps.base_arrived(arrived) == 1
    assert (fresh(verdict).reason, notified) == ("", [verdict.pk])
    assert jobs.claim(verdict.pk, "w") is not None


def test_a_crash_between_base_and_nudge_is_put_right_by_the_sweep(pushed, base):
    verdict = pushed("acme/giant")
    Base.objects.create(id="acme/Giant", revision="1", sha256="0" * 64)
    assert sweeps.sweep().released == 1
    assert fresh(verdict).reason == ""


def test_after_thirty_days_an_unknown_base_is_a_failure_with_a_fix(pushed, db):
    verdict = pushed("acme/giant")
    Verdict.objects.update(queued_at=Now() - timedelta(days=29))
    assert sweeps.sweep().given_up == 0
    Verdict.objects.update(queued_at=Now() - timedelta(days=31))
    assert sweeps.sweep().given_up == 1
    (check,) = fresh(verdict).result["checks"]
    assert (fresh(verdict).state, check["id"]) == ("failed", "base.unknown")
    assert "acme/giant" in check["message"]
    assert "Request it at /bases/acme/giant" in check["fix"]


@pytest.mark.parametrize("base_id", ["", "/home/alice/model", "./model", "C:\\model", "a/b/c", "~/model"])
def test_a_base_that_is_no_id_is_not_waited_for(pushed, db, base_id):
    verdict = pushed(base_id)
    assert verdict.reason == ""
    assert jobs.claim(verdict.pk, "w") is not None


# --- verified --------------------------------------------------------------------------------------------------------
def verified() -> str | None:
    return Ref.objects.filter(name="refs/verified").values_list("revision__title", flat=True).first()


def test_verified_is_the_newest_revision_of_main_that_passed_in_whatever_order(pushed, base):
    one, two, three = (pushed(message=name) for name in ("one", "two", "three"))
    assert verified() is None
    decided(two)
    assert verified() == "two"
    decided(one)
    assert verified() == "two"
    decided(three, FAILED)
    assert verified() == "two"
    again = requests.request(three.revision, BASE, again=True)
    decided(again)
    assert verified() == "three"


def test_verified_goes_back_when_a_later_verdict_says_no(pushed, base):
    one, two = pushed(message="one"), pushed(message="two")
    decided(one), decided(two)
    decided(requests.request(two.revision, BASE, again=True), FAILED)
    assert verified() == "one"
    decided(requests.request(one.revision, BASE, again=True), FAILED)
    assert verified() is None


def test_an_older_revision_does_not_speak_for_the_adapter(pushed, base):
    one, two = pushed(message="one"), pushed(message="two")
    decided(two, FAILED)
    decided(one)
    assert Repository.objects.get().state == "failed"


# --- workers ---------------------------------------------------------------------------------------------------------
def test_a_worker_shows_life_and_says_why_it_takes_no_jobs(db):
    jobs.sign_of_life("w1")
    jobs.sign_of_life("w1", "The sandbox does not hold. " * 50)
    WorkerHeartbeat.objects.get().clean_fields()
    assert WorkerHeartbeat.objects.get().problem.startswith("The sandbox does not hold.")
    WorkerHeartbeat.objects.update(beat_at=Now() - timedelta(days=2))
    sweeps.sweep()
    assert not WorkerHeartbeat.objects.exists()
