"""A provocation for each alarm: what breaks, as an outage would break it, and how it is mended.

Nobody waits half an hour for a queue to grow old: where an alarm has a threshold of that kind, the outage is real and
the rows that it leaves waiting are made as old in the database.
"""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psutil

from tests.drill.stage import Stage, frozen, kill
from tests.ops.test_production_shape import wait_until


@dataclass(frozen=True)
class Provocation:
    """An outage: a sentence about it, what causes and mends it, and the other alarms that it may sound."""

    says: str
    cause: Callable[[Stage], AbstractContextManager[None]]
    also: frozenset[str] = frozenset()


PROVOCATIONS: dict[str, Provocation] = {}


def provokes(alarm: str, says: str, *also: str) -> Callable[[Callable[[Stage], Iterator[None]]], None]:
    """Enter the decorated generator as the provocation of an alarm; after its `yield` it mends what it broke."""

    def enter(cause: Callable[[Stage], Iterator[None]]) -> None:
        PROVOCATIONS[alarm] = Provocation(says, contextmanager(cause), frozenset(also))

    return enter


@provokes("DovetailNotScraped", "all web processes hang")
def no_web(stage: Stage) -> Iterator[None]:
    with frozen(*stage.webs):
        yield


@provokes("DovetailWebGone", "one web process of two hangs")
def one_web_less(stage: Stage) -> Iterator[None]:
    with frozen(stage.webs[0]):
        yield


@provokes("DovetailDatabaseDown", "PostgreSQL hangs", "DovetailSlow", "DovetailServerErrors", "DovetailStorageRefuses")
def hanging_database(stage: Stage) -> Iterator[None]:
    with frozen(stage.service("postgres")):
        yield


@provokes("DovetailBrokerDown", "Redis hangs")
def no_broker(stage: Stage) -> Iterator[None]:
    with frozen(stage.service("redis")):
        yield


@provokes("DovetailServerErrors", "a table that one page reads has another name")
def no_table(stage: Stage) -> Iterator[None]:
    with _renamed(stage, "registry_collection"):
        yield


@provokes("DovetailSlow", "somebody keeps locking a table that one page reads")
def slow_page(stage: Stage) -> Iterator[None]:
    ended = threading.Event()

    def lock() -> None:
        while not ended.is_set():
            with stage.connect("dovetail") as connection, connection.transaction():
                connection.execute("LOCK TABLE registry_collection IN ACCESS EXCLUSIVE MODE")
                ended.wait(8)

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@provokes(
    "DovetailStoreSilent", "the S3 server hangs", "DovetailServerErrors", "DovetailStorageRefuses", "DovetailSlow"
)
def silent_store(stage: Stage) -> Iterator[None]:
    with frozen(stage.service("s3")):
        yield


@provokes(
    "DovetailStorageRefuses",
    "the database takes no connections",
    "DovetailServerErrors",
    "DovetailDatabaseDown",
    "DovetailSlow",
)
def closed_database(stage: Stage) -> Iterator[None]:
    with stage.connect("postgres") as connection:
        connection.execute("ALTER DATABASE dovetail ALLOW_CONNECTIONS false")
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dovetail'")
            yield
        finally:
            connection.execute("ALTER DATABASE dovetail ALLOW_CONNECTIONS true")


@provokes("DovetailNoWorker", "all workers hang, and an adapter is pushed")
def no_worker(stage: Stage) -> Iterator[None]:
    with frozen(*stage.workers):
        stage.push()
        yield


@provokes("DovetailQueueOld", "all workers hang, and what was pushed meanwhile is half an hour old", "DovetailNoWorker")
def old_queue(stage: Stage) -> Iterator[None]:
    with frozen(*stage.workers):
        stage.push()
        stage.sql("UPDATE registry_verdict SET queued_at = now() - interval '31 minutes' WHERE state = 'queued'")
        yield


@provokes("DovetailVerdictsBreak", "the interpreter of the engines is broken, and seven adapters are pushed")
def broken_engine(stage: Stage) -> Iterator[None]:
    with stage.broken_engines():
        stage.push(7)
        yield
    _make_older(stage, "registry_verdict", "finished_at")


@provokes("DovetailWorkersDie", "workers are killed at their work, again and again", "DovetailVerdictsBreak")
def dying_workers(stage: Stage) -> Iterator[None]:
    before = _begun(stage)
    stage.push(8)
    for killed in range(4):
        wait_until(lambda least=killed: _begun(stage) - before > least)
        for worker in stage.workers:
            kill(worker)
            stage.start_worker()
    yield
    _make_older(stage, "registry_attempt", "ended_at")
    _make_older(stage, "registry_verdict", "finished_at")


@provokes("DovetailProgramsFail", "the lines of Use of a version are marked as failed")
def failed_program(stage: Stage) -> Iterator[None]:
    stage.push()
    wait_until(lambda: stage.sql("SELECT 1 FROM registry_verdict WHERE state = 'passed'"))
    stage.sql("UPDATE registry_verdict SET has_failed_programs = true WHERE state = 'passed'")
    yield
    stage.sql("UPDATE registry_verdict SET has_failed_programs = false")


@provokes("DovetailClockSilent", "the service `beat` hangs", "DovetailOutboxStuck")
def no_clock(stage: Stage) -> Iterator[None]:
    with frozen(stage.beat):
        yield


@provokes("DovetailOutboxStuck", "a table that the feed writes has another name, for ten minutes already")
def stuck_outbox(stage: Stage) -> Iterator[None]:
    with _renamed(stage, "registry_event"):
        stage.push()
        wait_until(lambda: stage.sql("SELECT 1 FROM registry_outboxevent WHERE attempts > 0"))
        stage.sql("UPDATE registry_outboxevent SET at = now() - interval '11 minutes'")
        yield


@provokes("DovetailEventsGivenUp", "a table that the feed writes has another name")
def given_up_event(stage: Stage) -> Iterator[None]:
    with _renamed(stage, "registry_event"):
        stage.push()
        wait_until(lambda: stage.sql("SELECT 1 FROM registry_outboxevent WHERE attempts > 0"))
        stage.sql("UPDATE registry_outboxevent SET attempts = 4, due_at = now() WHERE attempts > 0")  # the last one
        yield
    # As an administrator does with a button
    stage.sql("UPDATE registry_outboxevent SET given_up_at = NULL, attempts = 0, due_at = now()")


@provokes("DovetailWebhooksLate", "the service `beat` hangs while a delivery waits", "DovetailClockSilent")
def late_webhooks(stage: Stage) -> Iterator[None]:
    hook = stage.api.create_webhook(
        url="http://127.0.0.1:9/nobody", watched=[{"type": "user", "name": "alice"}], domains=["repo"]
    )
    stage.push()
    wait_until(lambda: stage.sql("SELECT 1 FROM registry_delivery WHERE state = 'waiting' AND attempts > 0"))
    with frozen(stage.beat):
        stage.sql("UPDATE registry_delivery SET due_at = now() - interval '16 minutes' WHERE state = 'waiting'")
        yield
    stage.api.disable_webhook(hook.id)


@provokes("DovetailOtherHubSilent", "the other hub ends every connection, for ten minutes already")
def silent_hub(stage: Stage) -> Iterator[None]:
    stage.other_hub.is_away = True
    try:
        stage.get("/api/models/someone/something")
        [key] = stage.redis.keys("*upstream:silent:*")
        since = float(stage.redis.get(key))
        stage.redis.set(key, str(since - 660), keepttl=True)
        yield
    finally:
        stage.other_hub.is_away = False


@provokes("DovetailSearchLate", "the service `beat` hangs, and a push is ten minutes old", "DovetailClockSilent")
def late_search(stage: Stage) -> Iterator[None]:
    with frozen(stage.beat):
        stage.push()
        stage.sql("UPDATE registry_picklescan SET queued_at = now() - interval '10 minutes'")
        yield


@provokes("DovetailUncutFilesGrow", "the service `beat` hangs, and files come by Git LFS", "DovetailClockSilent")
def uncut_files(stage: Stage) -> Iterator[None]:
    ended = threading.Event()

    def come() -> None:
        number = 0
        while not ended.wait(1):
            stage.sql(
                "INSERT INTO registry_chunkingjob (sha256, attempts, free_at) SELECT"
                f" encode(sha256(('{number}-' || n)::bytea), 'hex'), 0, now() FROM generate_series(1, 100) AS n"
            )
            number += 1

    thread = threading.Thread(target=come)
    with frozen(stage.beat):
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@provokes("DovetailReadPlaneLate", "the service `beat` hangs, and a repository becomes private", "DovetailClockSilent")
def late_read_plane(stage: Stage) -> Iterator[None]:
    with frozen(stage.beat):
        stage.sql("INSERT INTO registry_planename (name, due_at, attempts) VALUES ('alice/gone', '2000-01-01', 0)")
        yield


@provokes("DovetailDiskFull", "the folder of web processes for temporary files is on a disk that is almost full")
def full_disk(stage: Stage) -> Iterator[None]:
    folder = stage.deployment.folder / "scratch"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "drill", folder], check=True)
    try:
        (folder / "full").write_bytes(bytes(15 << 20))
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@provokes(
    "DovetailProcessNearLimit", "the service `beat` may open hardly more files than it has", "DovetailClockSilent"
)
def few_files(stage: Stage) -> Iterator[None]:
    soft, hard = stage.beat.rlimit(psutil.RLIMIT_NOFILE)
    stage.beat.rlimit(psutil.RLIMIT_NOFILE, (round(1.1 * stage.beat.num_fds()), hard))
    try:
        yield
    finally:
        stage.beat.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))


@provokes("DovetailBackupOld", "the last backup was made three days ago")
def old_backup(stage: Stage) -> Iterator[None]:
    stage.back_up()
    stage.sql(
        "SET session_replication_role = replica",  # without the trigger that refuses to change the audit log
        "UPDATE registry_auditevent SET at = now() - interval '3 days' WHERE action = 'backup:make'",
    )
    yield
    stage.back_up()


@contextmanager
def _renamed(stage: Stage, table: str) -> Iterator[None]:
    stage.sql(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        stage.sql(f"ALTER TABLE {table}_away RENAME TO {table}")


def _begun(stage: Stage) -> int:
    """Return how many attempts were begun and did not come to a verdict."""
    [[number]] = stage.sql("SELECT count(*) FROM registry_attempt WHERE ended_at IS NULL OR outcome = 'lost'")
    return int(number)


def _make_older(stage: Stage, table: str, column: str) -> None:
    """Let an hour pass for what ended: the alarm counts the last one."""
    stage.sql(f"UPDATE {table} SET {column} = {column} - interval '1 hour' WHERE {column} IS NOT NULL")
