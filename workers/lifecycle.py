"""Duties of a worker beside its tasks: test the sandbox, warm an engine, send heartbeats, clean up, end when idle."""

import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
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
from django.db import connection, connections
from kombu.exceptions import KombuError

from registry.bytes import blobs
from registry.kernel import processes, traces
from registry.models import WorkerHeartbeat
from registry.proof.verdicts import comparisons, jobs, queue
from registry.sql import schema
from workers import loop, tasks
from workers.engine import jail, work_folders
from workers.engines import capabilities, sessions, warm_engines

logger = logging.getLogger(__name__)
TABLES_SECONDS = 5  # between two looks at tables that do not fit the code
_stopping = threading.Event()
_beating = threading.Thread(target=lambda: _beat(), name="heartbeat", daemon=True)
_worker: Any = None  # Celery's worker object, if this process validates; its attributes have no types
_of_parent: list[Any] = []  # what a child has inherited and must not touch, not even to free it


def _forget_connections() -> None:
    """Leave the parent's connections to it: Celery closes all in a new child, and the server would end them for both.

    The heartbeat's thread may have one at any moment, and a child is started whenever another one ends.
    """
    for wrapper in connections.all(initialized_only=True):
        # The pools of PostgreSQL are shared by all threads.
        pools: MutableMapping[str, Any] = getattr(wrapper, "_connection_pools", {})
        _of_parent.extend([wrapper.connection, *pools.values()])
        wrapper.connection = None
        pools.clear()


os.register_at_fork(after_in_child=_forget_connections)


@worker_init.connect
def hide(**_: Any) -> None:
    """Hide the keys of the hub, which are in the environment and memory of this process and of those that it forks."""
    jail.hide()


@worker_init.connect
def be_patient(**_: Any) -> None:
    """Let the tasks of this process wait for the store longer than requests do."""
    if connection.vendor != "sqlite":  # whose one lock `garbage.drop` holds while it deletes an object
        blobs.job.set()


@worker_init.connect
def wait_for_tables(**_: Any) -> None:
    """Wait, as /readyz of the web does, until this code may run on the tables: tasks would fail one by one."""
    said = ""
    while problem := _table_problem():
        if problem != said:
            logger.error("This worker does not start yet. %s", problem)
        said = problem
        _touch()
        time.sleep(TABLES_SECONDS)
    if said:
        logger.info("The tables are those of this code: this worker starts.")


def _table_problem() -> str:
    try:
        return schema.mismatch()
    except DatabaseError as error:
        return f"The database does not answer, or `manage.py migrate` has not been run: {error}"
    finally:
        _disconnect()


@worker_init.connect
def test_sandbox(sender: Any, **_: Any) -> None:
    """Attack our own sandbox before the first job; the children inherit the answer. A worker for errands needs none."""
    global _worker  # signals have no other place for what the next one needs
    if sender.app.conf.task_default_queue not in sender.app.amqp.queues.consume_from:
        return
    _worker = sender
    warm_engines.ENGINES.budget = settings.WARM_MEMORY // sender.concurrency
    work_folders.sweep()
    sessions.PLACE.folder()  # before the processes are forked, which share it
    _sign_off_the_dead()
    if problem := capabilities.unfit():
        logger.error("This worker takes no jobs: %s", problem)


@worker_process_init.connect
def warm_engine(**_: Any) -> None:
    """Start to load the base of the newest verdict, so that the first job does not wait for it."""
    if _worker and not capabilities.unfit():
        warm_engines.warm()


@worker_ready.connect
def show_life(**_: Any) -> None:
    """Send heartbeats from a thread of the main process, also while all children are busy."""
    if _worker:
        _beating.start()


@worker_shutting_down.connect
def stop_loop(**_: Any) -> None:
    loop.stop()


@worker_shutdown.connect
def stop_beating(**_: Any) -> None:
    _stopping.set()
    if _beating.is_alive():
        _beating.join()
    work_folders.remove(_sign())
    if _worker:
        jobs.sign_off(capabilities.name())
        processes.forget()


@worker_process_shutdown.connect
def stop_engines(**_: Any) -> None:
    warm_engines.ENGINES.stop()
    traces.flush()  # a child of the pool ends without its exit handlers


def _sign() -> Path:
    """Return the folder whose time tells deploy/alive.py that this process goes on; it needs no database."""
    return Path(tempfile.gettempdir(), f"{work_folders.PREFIX}heartbeat-{os.getpid()}")


def _touch() -> None:
    with suppress(OSError):  # what is missing is a probe's answer alone
        _sign().mkdir(mode=0o700, exist_ok=True)
        os.utime(_sign())


def _sign_off_the_dead() -> None:
    """Forget killed workers of this host: their heartbeats must not make a restarted hub look ready."""
    host = socket.gethostname()
    for worker in WorkerHeartbeat.objects.filter(worker__startswith=f"{host}:").values_list("worker", flat=True):
        if not Path("/proc", worker.rpartition(":")[2]).exists():
            jobs.sign_off(worker)
    _disconnect()


def _disconnect() -> None:
    """Close the connections of this process, those of its pool too: a child would inherit them and end them for us."""
    connection.close()
    if close_pool := getattr(connection, "close_pool", None):  # PostgreSQL has one
        close_pool()


def _beat() -> None:
    busy_at, idle = time.monotonic(), settings.WORKER_IDLE_SECONDS
    while True:
        _touch()
        is_busy = True  # also while the database cannot say
        try:
            offer = capabilities.offer(_worker.hostname, _worker.concurrency)
            jobs.sign_of_life(capabilities.name(), capabilities.unfit(), offer)
            processes.report("worker")
            work_folders.sweep()
            is_busy = _look_for_work(_worker.hostname) or not idle or queue.runs_on(socket.gethostname())
        except (DatabaseError, KombuError, OSError) as problem:  # the next beat may reach it again
            logger.warning("A beat was missed: %s", problem)
        finally:
            _disconnect()
        busy_at = time.monotonic() if is_busy else busy_at
        if idle and time.monotonic() - busy_at > idle:
            logger.info("This worker ends: it had nothing to do for %d s.", idle)
            os.kill(os.getpid(), signal.SIGTERM)  # as an operator does: what has begun in the meantime is finished
            busy_at = time.monotonic()
        if _stopping.wait(settings.HEARTBEAT_SECONDS):
            return


def _look_for_work(hostname: str) -> bool:
    """Send a task to our own queue if a job waits that we can do: its message was lost, or another worker got it.

    Nobody sends a message for a comparison: it waits until its engine has started. Return whether one waits.
    """
    able = capabilities.current()
    waits_for = queue.waits_for(able) or any(short.waits() for short in loop.LOOP.short) or comparisons.coldest(able)
    waits = not capabilities.unfit() and bool(waits_for)
    if waits:
        tasks.validate.apply_async(queue=worker_direct(hostname), expires=settings.HEARTBEAT_SECONDS, retry=False)
    return waits
