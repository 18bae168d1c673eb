"""Several clocks: one sends what is due, and another follows it when it ends or falls silent."""

import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery.beat import Service
from django.db import OperationalError
from django.db.models.functions import Now

from hub.celery import app
from registry.models import ClockLease
from workers import clock

EVERYTHING = {*app.conf.beat_schedule, "celery.backend_cleanup"}
pytestmark = pytest.mark.django_db(transaction=True)  # clocks close their connections


class Clock(clock.ElectedScheduler):
    """A clock that notes in `sent` what it would send."""

    producer = None

    def __init__(self, *args, **kwargs):
        self.sent = []
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry, producer=None):
        self.sent.append(entry.name)


@pytest.fixture
def now(monkeypatch):
    """Return the time of both clocks, in a list of one."""
    time = [1000.0]
    monkeypatch.setattr("workers.clock.time.monotonic", lambda: time[0])
    return time


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[[str], Clock]]:
    """Return a function that starts a clock for which everything is due."""
    stores = []

    def start(name):
        scheduler = Clock(app=app, schedule_filename=str(tmp_path / name))
        stores.append(vars(scheduler)["_store"])
        for entry in scheduler.schedule.values():
            entry.last_run_at -= timedelta(days=1)
        return scheduler

    yield start
    for store in stores:
        store.close()


def run(scheduler):
    """Tick until nothing is due."""
    while not (wait := scheduler.tick()):
        pass
    assert 0 < wait <= clock.ASK_SECONDS


def test_one_clock_sends_and_the_other_follows_when_the_first_is_silent(start, now):
    first, second = start("a"), start("b")
    run(first)
    run(second)
    assert set(first.sent) == EVERYTHING
    assert second.sent == []
    now[0] += clock.ASK_SECONDS
    run(first)
    run(second)
    assert second.sent == [], "the first one prolonged its lease"
    ClockLease.objects.update(until=Now() - timedelta(seconds=1))
    now[0] += clock.ASK_SECONDS
    run(second)
    assert set(second.sent) == EVERYTHING
    first.sent.clear()
    run(first)
    assert first.sent == [], "it was silent, and asks before it sends"


def test_a_clock_that_ends_lets_another_take_over_at_once_and_one_that_was_killed_goes_on_itself(start, now):
    first = start("a")
    run(first)
    vars(first)["_store"].close()  # killed: the lease is still there
    again, second = start("a"), start("b")
    run(again)
    run(second)
    assert (set(again.sent), second.sent) == (EVERYTHING, [])
    again.close()
    now[0] += clock.ASK_SECONDS
    run(second)
    assert set(second.sent) == EVERYTHING


def test_a_clock_without_a_database_waits_for_it(start, now, monkeypatch):
    scheduler = start("a")

    def refuse(*_):
        raise OperationalError("the database is down")

    with monkeypatch.context() as down:
        down.setattr(clock, "take", refuse)
        run(scheduler)
    assert scheduler.sent == []
    now[0] += clock.ASK_SECONDS
    run(scheduler)
    assert set(scheduler.sent) == EVERYTHING
    with monkeypatch.context() as down:
        down.setattr(clock, "give_back", refuse)
        scheduler.close()


class Broken(Clock):
    def tick(self, *_args, **_kwargs):
        raise ValueError("a schedule that cannot be read")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_clock_that_breaks_ends_its_worker(tmp_path, caplog):
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        thread = clock.ClockThread(Service(app, scheduler_cls=Broken, schedule_filename=str(tmp_path / "schedule")))
        thread.start()
        assert ended.wait(60), "its worker goes on without a clock"
        thread.join(60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "The clock broke" in caplog.text
