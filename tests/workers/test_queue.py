"""The queue's settings, and a real worker on a real broker: killed, doubled, unheard."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import connections

from hub import celery as queue
from registry.models import Attempt, Verdict, WorkerHeartbeat
from registry.proof.verdicts import jobs
from tests.services import valkey
from tests.sweep import at_merge
from tests.workers.test_verdicts import expire
from workers import loop
from workers.engine.pace import WALL_SECONDS
from workers.engines.sandbox import GRACE_SECONDS, START_SECONDS

ROOT = Path(queue.__file__).parents[1]


def test_the_limits_are_in_the_only_order_in_which_nothing_is_lost_or_done_twice(settings):
    assert settings.ENGINE_SECONDS <= queue.ENGINE_SECONDS_MOST == WALL_SECONDS
    # a start of the engine, its base's hashes and the job itself end before the task is warned
    assert queue.ENGINE_SECONDS_MOST + START_SECONDS + GRACE_SECONDS < queue.SOFT_SECONDS
    assert queue.SOFT_SECONDS < queue.HARD_SECONDS < queue.VISIBILITY_SECONDS < queue.RABBITMQ_CONSUMER_SECONDS
    assert queue.app.conf.broker_transport_options["visibility_timeout"] == queue.VISIBILITY_SECONDS
    assert settings.HEARTBEAT_SECONDS * 3 <= settings.LEASE_SECONDS
    assert settings.SWEEP_SECONDS <= settings.LEASE_SECONDS


def test_only_json_travels_and_a_task_ends_before_its_message_is_acknowledged():
    conf = queue.app.conf
    assert (conf.accept_content, conf.task_serializer, conf.result_backend) == (["json"], "json", None)
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result


def test_what_calls_out_and_what_puts_right_never_waits_behind_validations():
    routes = {name.rpartition(".")[2]: to["queue"] for name, to in queue.app.conf.task_routes.items()}
    errands = "deliver dispatch fold_downloads land letter mail read_upstream scan sweep tidy write_plane"
    assert routes == dict.fromkeys(errands.split(), "errands") | {"try_out": "tries"}
    assert queue.app.conf.task_default_queue == "validate"
    assert loop.SLICE_SECONDS + queue.ENGINE_SECONDS_MOST + START_SECONDS + GRACE_SECONDS < queue.SOFT_SECONDS


# --- notifications ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with valkey() as url:
        yield url


def in_a_hub(code: str, broker: str) -> str:
    """Run code in a process of a hub with that broker, and return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")}
    environment = kept | {"DOVETAIL_SECRET_KEY": "x" * 60, "DOVETAIL_BROKER_URL": broker}
    command = [sys.executable, "-c", f"import time\nfrom hub import celery\n{code}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", *at_merge("amqp://x:y@127.0.0.1:1//", "redis+socket:///no/such.sock")]
)
def test_a_broker_that_is_down_is_no_exception_and_costs_a_push_no_time(url):
    code = "began = time.monotonic()\nprint(celery.validate(1), time.monotonic() - began)"
    rang, seconds = in_a_hub(code, url).split()
    assert rang == "False"
    assert float(seconds) < 3


def test_a_broker_that_was_restarted_is_rung_at_the_first_try(broker):
    code = f"""
import redis
print(celery.validate(1))
redis.Redis.from_url({broker!r}).client_kill_filter(_type="normal", skipme=True)
print(celery.validate(2))
"""
    assert in_a_hub(code, broker).split() == ["True", "True"]
    redis.Redis.from_url(broker).flushall()


def test_a_broker_that_hangs_is_asked_once_and_then_left_alone_for_a_while(broker):
    code = f"""
import os, signal, redis
server = redis.Redis.from_url({broker!r}).info()["process_id"]
celery.only_send()
asked = []
celery.logger.warning = lambda *_, **about: asked.append(about)
os.kill(server, signal.SIGSTOP)
print(celery.try_out(2), celery.post(3), celery.derive(4), len(asked))
os.kill(server, signal.SIGCONT)
"""
    assert in_a_hub(code, broker).split() == ["False", "False", "False", "1"]


def messages(broker: str, key: str = "errands") -> int:
    return int(redis.Redis.from_url(broker).llen(key))


def test_the_hints_of_a_push_are_one_message_that_no_request_waits_for(broker):
    code = f"""
import redis
celery.only_send()
errands = lambda: redis.Redis.from_url({broker!r}).llen("errands")
for _ in range(5):
    celery.dispatch(); celery.scan()
print(errands(), end=" ")
time.sleep(4 * celery.PUSH_SECONDS)
print(errands(), end=" ")
celery.dispatch()  # of a later commit: a message of its own, also where the process ends first
"""
    assert in_a_hub(code, broker).split() == ["0", "2"]
    assert messages(broker) == 3
    redis.Redis.from_url(broker).flushall()


def test_a_push_waits_for_no_message_of_its_verdict(broker):
    code = f"""
import redis
celery.only_send()
validations = lambda: redis.Redis.from_url({broker!r}).llen("validate")
print(celery.validate(2), celery.validate(3), celery.validate(2), validations(), end=" ")
time.sleep(4 * celery.PUSH_SECONDS)
print(validations())
"""
    assert in_a_hub(code, broker).split() == ["True", "True", "True", "0", "2"]
    redis.Redis.from_url(broker).flushall()


def test_a_machine_without_threads_gets_its_hints_at_once(broker):
    code = """
import threading
celery.only_send()
def refuse(self): raise RuntimeError("can't start new thread")
threading.Timer.start = refuse
celery.dispatch(); celery.dispatch()
"""
    assert in_a_hub(code, broker) == ""
    assert messages(broker) == 2
    redis.Redis.from_url(broker).flushall()


def test_a_worker_sends_its_hints_at_once(broker):
    assert in_a_hub("celery.dispatch(); celery.dispatch(); import os; os._exit(0)", broker) == ""
    assert messages(broker) == 2
    redis.Redis.from_url(broker).flushall()


# --- a real worker ---------------------------------------------------------------------------------------------------
@pytest.fixture
def send(broker) -> Callable[..., None]:
    """Send a task by name, as any process of the hub would."""
    sender = Celery(broker=broker, set_as_current=False)
    sender.conf.task_default_queue = queue.app.conf.task_default_queue

    def send_one(name: str, *arguments: int) -> None:
        sender.send_task(f"workers.tasks.{name}", args=list(arguments))

    yield send_one
    with sender.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.queue_purge(queue.app.conf.task_default_queue)


@pytest.fixture
def work(broker, settings, tmp_path, engine) -> Iterator[Callable[[], subprocess.Popen]]:
    """Start real workers on this test's database, store and engines; all are killed at the end."""
    workers = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")}
    environment = kept | {
        "DOVETAIL_DATA": str(tmp_path),
        "DOVETAIL_SECRET_KEY": "x" * 60,
        "DOVETAIL_DATABASE_URL": database_url(),
        "DOVETAIL_BLOBS": settings.BLOBS,
        "DOVETAIL_SHELF": str(settings.SHELF),
        "DOVETAIL_ENGINES": str(settings.ENGINES),
        "DOVETAIL_BROKER_URL": broker,
    }

    def start(module: str = "hub.settings", *, errands: bool = False) -> subprocess.Popen:
        command = [sys.executable, "-m", "celery", "-A", "hub.celery", "worker", "-P", "prefork", "-c", "1"]
        command += ["--without-gossip", "--without-mingle", "-n", f"w{len(workers)}@test"]
        command += ["-P", "threads", "-Q", "errands"] if errands else []
        with (tmp_path / "worker.log").open("ab") as log:
            workers.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment | {"DJANGO_SETTINGS_MODULE": module},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        if errands:
            return workers[-1]
        mine = WorkerHeartbeat.objects.filter(worker__endswith=f":{workers[-1].pid}")
        until(mine.exists)
        return workers[-1]

    yield start
    for worker in workers:
        kill(worker)


def database_url() -> str:
    """Return the address of this test's database."""
    known = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    return f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


def kill(worker: subprocess.Popen) -> None:
    """Kill a worker and its children without a word, as the kernel does when memory is short."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def state(verdict: Verdict) -> str:
    return Verdict.objects.get(pk=verdict.pk).state


@pytest.fixture
def engines(tmp_path) -> Callable[[], list[str]]:
    """Find the engines of this test that live."""

    def find() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"fake_engine.py" in command and bytes(tmp_path) in command:
                found.append(process.name)
        return found

    return find


@pytest.mark.merge
@pytest.mark.django_db(transaction=True)
def test_a_doubled_message_is_one_validation_and_the_worker_leaves_nothing(pushed, base, work, send, engines):
    verdict = pushed()
    worker = work()
    for _ in range(3):
        send("validate", verdict.pk)
    send("validate", 404)
    until(lambda: state(verdict) == "passed")
    time.sleep(0.3)
    assert Attempt.objects.count() == 1
    assert WorkerHeartbeat.objects.get().problem == ""
    worker.terminate()
    worker.wait(120)
    until(lambda: not engines())
    assert not WorkerHeartbeat.objects.exists(), "it signed off"


@pytest.mark.merge
@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_nudge_was_lost_looks_by_itself_and_one_nudge_is_enough_for_many(pushed, base, work, send):
    work("tests.workers.hasty")
    rows = [pushed(message=str(number)) for number in range(3)]  # these tests notify no worker
    until(lambda: all(state(row) == "passed" for row in rows))
    offers = WorkerHeartbeat.objects.get().offers
    assert (offers["slots"], offers["bases"], offers["engines"]) == (1, {base.id: base.sha256}, ["e5"])


@pytest.mark.merge
@pytest.mark.django_db(transaction=True)
def test_a_worker_of_errands_sweeps_takes_no_validation_and_counts_as_none(pushed, base, work, send, broker):
    lost, other = pushed(), pushed(message="other")
    assert jobs.claim(lost.pk, "a worker that died")
    expire(lost)
    work(errands=True)
    send("validate", other.pk)
    sender = Celery(broker=broker, set_as_current=False)
    sender.send_task("workers.tasks.sweep", queue="errands")
    until(lambda: state(lost) == "queued")
    assert (state(other), WorkerHeartbeat.objects.count()) == ("queued", 0)


@pytest.mark.merge
@pytest.mark.django_db(transaction=True)
def test_a_nudge_at_a_workers_own_door_is_heard(pushed, base, work, broker, monkeypatch):
    work("tests.workers.patient")
    row = pushed()
    monkeypatch.setattr(queue, "app", Celery(broker=broker, set_as_current=False))
    assert queue.validate(row.pk, WorkerHeartbeat.objects.get().offers["door"])
    until(lambda: state(row) == "passed")


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_leaves_no_engine_and_the_sweep_gives_its_job_to_the_next(
    pushed, base, work, send, engine, engines
):
    engine("hangs")
    verdict = pushed()
    worker = work()
    send("validate", verdict.pk)
    until(lambda: state(verdict) == "running" and engines())
    kill(worker)
    until(lambda: not engines())
    assert state(verdict) == "running"
    engine("passes")
    work()
    assert WorkerHeartbeat.objects.count() == 1, "the killed one was forgotten at the start of the next"
    send("sweep")
    time.sleep(0.5)
    assert state(verdict) == "running", "its lease has not ended"
    expire(verdict)
    send("sweep")
    until(lambda: state(verdict) == "passed")
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True))[-1] == "passed"
    assert Verdict.objects.get().attempt == 2


@pytest.mark.merge
@pytest.mark.django_db(transaction=True)
def test_a_killed_child_is_replaced_and_its_message_does_not_run_the_job_twice(
    pushed, base, work, send, engine, engines
):
    engine("hangs")
    verdict = pushed()
    worker = work()
    send("validate", verdict.pk)
    until(lambda: state(verdict) == "running" and engines())
    (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    engine("passes")
    os.kill(int(child), signal.SIGKILL)
    until(lambda: child not in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split())
    time.sleep(1)  # the redelivered message is here by now, and finds the row taken
    assert (state(verdict), Attempt.objects.count()) == ("running", 1)
    expire(verdict)
    send("sweep")
    until(lambda: state(verdict) == "passed")
    assert worker.poll() is None
