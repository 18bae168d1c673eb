"""What a worker does besides its tasks: test its sandbox, warm an engine, show that it lives, leave nothing behind."""

import logging
import os
import socket
import threading
from typing import Any

from celery.signals import worker_init, worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from registry import verdicts
from workers import bench, scratch

logger = logging.getLogger(__name__)
_stopping = threading.Event()


def name() -> str:
    """Return how this worker is called in attempts and heartbeats."""
    return f"{socket.gethostname()}:{os.getpid()}"


@worker_init.connect
def test_sandbox(**_: Any) -> None:
    """Attack our own sandbox before the first job; the children inherit the answer."""
    scratch.sweep()
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
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


@worker_shutdown.connect
def stop_beating(**_: Any) -> None:
    _stopping.set()


@worker_process_shutdown.connect
def stop_engines(**_: Any) -> None:
    bench.ENGINES.stop()


def _beat() -> None:
    while True:
        try:
            verdicts.sign_of_life(name(), bench.unfit())
        except DatabaseError as problem:  # the next beat may reach it again
            logger.warning("No sign of life could be written: %s", problem)
        finally:
            connection.close()  # a child forked later must not inherit it
        if _stopping.wait(settings.HEARTBEAT_SECONDS):
            return
