"""What a worker does besides its tasks: test its sandbox, warm an engine, show that it lives, leave nothing behind."""

import logging
import socket
import threading
from pathlib import Path
from typing import Any

from celery.signals import worker_init, worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from registry import verdicts
from registry.models import WorkerHeartbeat
from workers import bench, scratch

logger = logging.getLogger(__name__)
_stopping = threading.Event()
_beating = threading.Thread(target=lambda: _beat(), name="heartbeat", daemon=True)


@worker_init.connect
def test_sandbox(**_: Any) -> None:
    """Attack our own sandbox before the first job; the children inherit the answer."""
    scratch.sweep()
    _sign_off_the_dead()
    if problem := bench.unfit():
        logger.error("This worker takes no jobs: %s", problem)


@worker_process_init.connect
def warm_engine(**_: Any) -> None:
    """Start loading the base that was used last, so that the first verdict does not wait for it."""
    if not bench.unfit():
        bench.warm()


@worker_ready.connect
def show_life(**_: Any) -> None:
    """Beat from a thread of the main process: it goes on while all children are busy."""
    _beating.start()


@worker_shutdown.connect
def stop_beating(**_: Any) -> None:
    _stopping.set()
    if _beating.is_alive():
        _beating.join()
    verdicts.sign_off(bench.name())


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
            verdicts.sign_of_life(bench.name(), bench.unfit())
        except DatabaseError as problem:  # the next beat may reach it again
            logger.warning("No sign of life could be written: %s", problem)
        finally:
            connection.close()  # a child forked later must not inherit it
        if _stopping.wait(settings.HEARTBEAT_SECONDS):
            return
