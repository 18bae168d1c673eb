"""The numbers of the registry that alarms ask for: each outage shows in its number, and nothing else does."""

import math
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from hub.monitoring import gauges, health
from registry.models import Verdict, WorkerHeartbeat
from registry.proof.verdicts import jobs, requests, sweeps
from registry.publish import push
from registry.repos import refs
from tests.cast import Cast
from workers import clock


@pytest.fixture(autouse=True)
def _own_store(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = f"{__name__}.notify"


def notify(verdict: int) -> bool:
    """A broker that takes every message."""
    return True


def number(name: str, labels: str = "") -> float | None:
    """Return the value of a series as the hub gives it now, also if it is counted once a minute; None without one."""
    gauges.kept_totals.forget()
    found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", gauges.exposition().decode(), re.MULTILINE)
    return float(found[1]) if found else None


@pytest.fixture
def waiting(cast: Cast) -> Verdict:
    """A verdict that waits for its turn, and that any worker can give."""
    intent = push.Intent(cast.repository("acme/pushed"), refs.MAIN, cast.session("alice"), title="One file")
    return requests.request(push.receive(intent, [push.Inline("README.md", b"# Hello")]).revision, "")


def test_a_worker_that_dies_is_counted_and_so_is_the_verdict_that_it_breaks(waiting: Verdict) -> None:
    for lost in range(1, settings.MAX_ATTEMPTS + 1):
        assert jobs.claim(waiting.pk, "lost@nowhere")
        Verdict.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        sweeps.sweep()
        assert number("dovetail_hour_lost_attempts") == lost
    assert number("dovetail_hour_verdicts", '{engine="",format="",state="errored"}') == 1


def test_what_waits_for_a_base_that_nobody_added_makes_no_queue_old(waiting: Verdict) -> None:
    Verdict.objects.update(queued_at=timezone.now() - timedelta(hours=1))
    assert 3600 <= (number("dovetail_queue_age_seconds") or 0) < 3700
    Verdict.objects.update(turn=None, reason="Its base is not here.")
    assert number("dovetail_queue_age_seconds") == 0
    Verdict.objects.update(route="org/base", reason="No living worker has its base.")
    assert 3600 <= (number("dovetail_queue_age_seconds") or 0) < 3700


@pytest.mark.django_db
def test_a_worker_that_takes_no_jobs_gives_no_slots() -> None:
    assert number("dovetail_worker_slots") == 0
    worker = WorkerHeartbeat.objects.create(worker="a:1", beat_at=timezone.now(), offers={"slots": 3})
    assert number("dovetail_worker_slots") == 3
    worker.problem = "The kernel refuses the sandbox."
    worker.save()
    assert number("dovetail_worker_slots") == 0


@pytest.mark.django_db
def test_a_hub_without_a_clock_has_been_without_one_for_ever(tmp_path) -> None:
    assert number("dovetail_clock_silence_seconds") == math.inf
    clock.take("a clock", 60)
    assert number("dovetail_clock_silence_seconds") == 0


def test_without_a_database_the_metrics_tell_so_and_all_that_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"database": {"ok": False, "reason": "The database does not answer."}, "blobs": {"ok": True, "ms": 1.0}}
    monkeypatch.setattr(health, "_latest", type("Latest", (), {"get": staticmethod(lambda: parts)}))
    Client().get("/livez")
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    lines = answer.content.decode().splitlines()
    assert {'dovetail_part_up{part="database"} 0.0', 'dovetail_part_up{part="blobs"} 1.0'} <= set(lines)
    assert any(line.startswith("dovetail_requests_total") for line in lines)
    assert not any("dovetail_queue_age_seconds" in line for line in lines)
