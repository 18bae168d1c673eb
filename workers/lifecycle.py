"""What a worker does besides its tasks: test its sandbox, warm an engine, show that it lives, leave nothing behind."""

import logging
import socket
import threading
from pathlib import Path
from typing import Any

from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.utils.nodenames import worker_direct
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from kombu.exceptions import KombuError

from registry.models import WorkerHeartbeat
from registry.proof import verdicts
from registry.proof.verdicts import comparisons
from workers import bench, hands, scratch, shift, tasks

logger = logging.getLogger(__name__)
_stopping = threading.Event()
_beating = threading.Thread(target=lambda: _beat(), name="heartbeat", daemon=True)
_worker: Any = None  # Celery's object of this process, where it validates; its attributes have no types


@worker_init.connect
def test_sandbox(sender: Any, **_: Any) -> None:
    """Attack our own sandbox before the first job; the children inherit the answer. A worker of errands needs none."""
    global _worker  # signals have no other place for what the next one needs
    if sender.app.conf.task_default_queue not in sender.app.amqp.queues.consume_from:
        return
    _worker = sender
    bench.ENGINES.budget = settings.WARM_MEMORY // sender.concurrency
    scratch.sweep()
    _sign_off_the_dead()
    if problem := hands.unfit():
        logger.error("This worker takes no jobs: %s", problem)


@worker_process_init.connect
def warm_engine(**_: Any) -> None:
    """Start loading the base that was used last, so that the first verdict does not wait for it."""
    if _worker and not hands.unfit():
        bench.warm()


@worker_ready.connect
def show_life(**_: Any) -> None:
    """Beat from a thread of the main process: it goes on while all children are busy."""
    if _worker:
        _beating.start()


@worker_shutting_down.connect
def end_shift(**_: Any) -> None:
    shift.stop()


@worker_shutdown.connect
def stop_beating(**_: Any) -> None:
    _stopping.set()
    if _beating.is_alive():
        _beating.join()
    if _worker:
        verdicts.sign_off(hands.name())


@worker_process_shutdown.connect
def stop_engines(**_: Any) -> None:
    bench.ENGINES.stop()


def _sign_off_the_dead() -> None:
    """Forget killed workers of this host: a hub that starts again must not seem ready by what its past self said."""
    host = socket.gethostname()
    for worker in WorkerHeartbeat.objects.filter(worker__startswith=f"{host}:").values_list("worker", flat=True):
        if not Path("/proc", worker.rpartition(":")[2]).exists():
            verdicts.sign_off(worker)
    connection.close()  # the children are forked soon


def _beat() -> None:
    while True:
        try:
            verdicts.sign_of_life(hands.name(), hands.unfit(), hands.offers(_worker.hostname, _worker.concurrency))
            scratch.sweep()
            _look_for_work(_worker.hostname)
        except (DatabaseError, KombuError, OSError) as problem:  # the next beat may reach it again
            logger.warning("A beat was missed: %s", problem)
        finally:
            connection.close()  # a child forked later must not inherit it
        if _stopping.wait(settings.HEARTBEAT_SECONDS):
            return


def _look_for_work(door: str) -> None:
    """Ring at our own door where something waits that we can do: its message was lost, or went to somebody else.

    For a comparison nobody rings: it waits until its engine has started, and by then there may be nothing else to do.
    """
    able = hands.hands()
    if not hands.unfit() and (verdicts.waits_for(able) or comparisons.coldest(able)):
        tasks.validate.apply_async(queue=worker_direct(door), expires=settings.HEARTBEAT_SECONDS, retry=False)
