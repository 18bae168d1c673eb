"""The schedule of Celery's beat, which any number of workers may run: one of them sends, the others stand by."""

import logging
import os
import signal
import socket
import threading
import time
from datetime import timedelta
from typing import Any

from celery import bootsteps
from celery.beat import PersistentScheduler, Service
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from registry.kernel import processes
from registry.models import ClockLease

NAME = "schedule"


def take(holder: str, seconds: float) -> bool:
    """Take or prolong the lease for `seconds`; return False while another process holds it."""
    until = Now() + timedelta(seconds=seconds)
    free = Q(holder=holder) | Q(until__lt=Now())
    if ClockLease.objects.filter(free, name=NAME).update(holder=holder, until=until):
        return True
    if ClockLease.objects.filter(name=NAME).exists():
        return False
    try:
        with transaction.atomic():
            ClockLease.objects.create(name=NAME, holder=holder, until=until)
    except IntegrityError:  # another process was first
        return False
    return True


def give_back(holder: str) -> None:
    """Let another process take over at once."""
    ClockLease.objects.filter(name=NAME, holder=holder).delete()


logger = logging.getLogger(__name__)

LEASE_SECONDS = 3 * settings.SWEEP_SECONDS
ASK_SECONDS = settings.SWEEP_SECONDS / 2  # how often a clock prolongs the lease, or asks whether it is free


class Clock(bootsteps.StartStopStep):
    """Runs the schedule in a thread of a worker with `--clock`; the process of Celery's `-B` would take 60 MiB more.

    For pools of threads: a pool that forks needs a process without any.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, clock: bool = False, **options: Any) -> None:
        super().__init__(worker, **options)
        self.enabled = clock

    def create(self, worker: Any) -> Any:
        """Return the thread, which the worker starts and stops with itself."""
        schedule = {"schedule_filename": worker.schedule_filename, "scheduler_cls": worker.scheduler}
        return ClockThread(Service(worker.app, max_interval=1, **schedule))


class ClockThread(threading.Thread):
    """The thread of the schedule; its worker ends with it, and the service manager starts both again."""

    def __init__(self, service: Any) -> None:
        super().__init__(name="clock", daemon=True)
        self.service = service
        self._is_wanted = True

    def run(self) -> None:
        """Run the schedule until `stop`."""
        try:
            self.service.app.set_current()
            self.service.start()
        finally:
            if self._is_wanted:
                logger.critical("The clock broke; its worker ends", exc_info=True)
                os.kill(os.getpid(), signal.SIGTERM)  # Celery finishes the tasks at hand first

    def stop(self) -> None:
        """End the schedule, and wait for it."""
        self._is_wanted = False
        self.service.stop()
        if self.is_alive():
            self.join()


class ElectedScheduler(PersistentScheduler):
    """Sends what is due while it holds the lease. A clock that dies is followed within LEASE_SECONDS + ASK_SECONDS.

    Tasks of the schedule may be sent twice around a change, which does no harm: each takes the rows that it works on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._is_leading = False
        self._next_ask = time.monotonic()
        super().__init__(*args, **kwargs)
        # The same after a restart, so that a clock that was killed goes on at once.
        self._holder = f"{socket.gethostname()}:{kwargs.get('schedule_filename')}"

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, or nothing; return the seconds until the next call."""
        if time.monotonic() >= self._next_ask:
            self._next_ask = time.monotonic() + ASK_SECONDS
            self._ask()
        if self._is_leading:
            return min(super().tick(*args, **kwargs), ASK_SECONDS)
        return min(float(self.max_interval or ASK_SECONDS), ASK_SECONDS)

    def close(self) -> None:
        """End, and let another clock take over at once."""
        try:
            give_back(self._holder)
            processes.forget()
        except DatabaseError as problem:
            logger.warning("The lease of the clock ends by itself: %s", problem)
        finally:
            connection.close()
            super().close()

    def _ask(self) -> None:
        try:
            is_leading = take(self._holder, LEASE_SECONDS)
            processes.report("clock")
        except DatabaseError as problem:  # every task of the schedule needs the database, too
            logger.warning("The clock waits for the database: %s", problem)
            is_leading = False
        finally:
            connection.close()
        if is_leading != self._is_leading:
            logger.info("This clock %s the schedule", "runs" if is_leading else "stands by for")
            self._is_leading = is_leading
