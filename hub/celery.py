"""The Celery application: queues, time limits, schedule. A message is only a hint; the row is the job."""

import gc
import logging
import os
import threading
import time
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from celery import Celery, signals
from celery.utils.nodenames import worker_direct
from click import Option
from django.conf import settings
from django.urls import set_script_prefix
from kombu import Queue
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES, redis, virtual

from registry.kernel import traces


class SettlingQoS(redis.QoS):
    """Counts the messages in work.

    kombu goes on counting a message whose acknowledgement failed. A worker that takes one message at a time would wait
    for its end for ever, and does not even notice that its connection is gone. Redis delivers that message again.
    """

    def ack(self, delivery_tag: str) -> None:
        """Tell Redis that a message is done. Raises what redis-py does while Redis does not answer."""
        try:
            super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message back, or drop it. Raises as above."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """A channel of this transport."""

    QoS = SettlingQoS


class Transport(redis.Transport):
    """The transport of redis:// and rediss:// after `install`."""

    Channel = Channel


def install() -> None:
    """Let kombu take this transport for Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

logger = logging.getLogger(__name__)

# Smallest first, or work is done twice or lost: the engine's own wall limit, a warning in the task, the kill of its
# process, the redelivery of its message (Redis), the closing of its channel (RabbitMQ's consumer_timeout default).
ENGINE_SECONDS_MOST = 600
SOFT_SECONDS = 840
HARD_SECONDS = 900
VISIBILITY_SECONDS = 1200
TIDY_SECONDS = 3600
FOLD_SECONDS = 300  # a repository is rewritten once in this time, however often it is downloaded
RENEW_SECONDS = 600
MAIL_SECONDS = 120
RABBITMQ_CONSUMER_SECONDS = 1800

# Of connecting, inside one call: a push must not wait for a broker that is down. Workers have retries of their own.
CONNECTING = {"max_retries": 1, "interval_start": 0}
ONCE_MORE = {"max_retries": 1, "interval_start": 0}  # a broker that was restarted has cut the connection in the pool
# kombu looks for messages to redeliver each interval × throttle seconds: with its defaults that is 100 s.
REDIS = {
    "visibility_timeout": VISIBILITY_SECONDS,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 15,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
}
VALIDATIONS, ERRANDS, TRIES = "validate", "errands", "tries"
ERRAND_TASKS = (
    *("deliver", "dispatch", "fold_downloads", "land", "letter", "mail", "read_upstream", "scan", "sweep"),
    *("tidy", "write_plane"),
)
# A message of these is one job, so it works for the request that sent it; the others only say that rows wait.
JOB_MESSAGES = frozenset({"workers.tasks.deliver", "workers.tasks.letter"})
# Of a process that only sends: a request must not wait for a hint.
SENDING = {"socket_timeout": 1, "socket_connect_timeout": 1}
# From the first row that waits to the hint: until the push is over, whose requests would share the processor with what
# they cause; and until the answer to its last request is out, which asks for the verdict.
PUSH_SECONDS, VERDICT_SECONDS = 0.25, 0.02
PAUSE_SECONDS = 10  # without hints after the broker did not answer: as long as a worker needs to look by itself
IS_REDIS = settings.BROKER_URL.startswith("redis")
if IS_REDIS:
    install()

app = Celery("dovetail", broker=settings.BROKER_URL)
app.conf.update(
    include=("workers.tasks", "workers.lifecycle"),
    broker_connection_timeout=3,
    broker_connection_retry_on_startup=True,
    broker_transport_options=CONNECTING | (REDIS if IS_REDIS else {}),
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,  # the verdict's row is the result
    # Validations, what must never wait behind them or hold them up, and tries, which workers of validations take.
    # A worker without -Q or -X takes all three.
    task_default_queue=VALIDATIONS,
    task_queues=[Queue(VALIDATIONS), Queue(ERRANDS), Queue(TRIES)],
    task_routes={f"workers.tasks.{name}": {"queue": ERRANDS} for name in ERRAND_TASKS}
    | {"workers.tasks.try_out": {"queue": TRIES}},
    worker_direct=True,  # and a queue of its own, for what only this worker can do
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=SOFT_SECONDS,
    task_time_limit=HARD_SECONDS,
    worker_concurrency=settings.WORKER_CONCURRENCY,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=5000,  # a child takes its warm engine with it: seldom, then
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_soft_shutdown_timeout=10,
    worker_hijack_root_logger=False,  # logs are settings.LOGGING's, one JSON object a line
    beat_scheduler="workers.clock:ElectedScheduler",  # several clocks may stand by
    beat_schedule={
        "sweep": {
            "task": "workers.tasks.sweep",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": settings.SWEEP_SECONDS},  # sweeps do not pile up behind a long validation
        },
        "fold_downloads": {
            "task": "workers.tasks.fold_downloads",
            "schedule": FOLD_SECONDS,
            "options": {"expires": FOLD_SECONDS},
        },
        "land": {
            "task": "workers.tasks.land",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": settings.SWEEP_SECONDS},
        },
        "read_upstream": {
            "task": "workers.tasks.read_upstream",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": settings.SWEEP_SECONDS},
        },
        "tidy": {"task": "workers.tasks.tidy", "schedule": TIDY_SECONDS, "options": {"expires": TIDY_SECONDS}},
        "measure": {"task": "workers.tasks.measure", "schedule": TIDY_SECONDS, "options": {"expires": TIDY_SECONDS}},
        "renew": {"task": "workers.tasks.renew", "schedule": RENEW_SECONDS, "options": {"expires": RENEW_SECONDS}},
        "mail": {"task": "workers.tasks.mail", "schedule": MAIL_SECONDS, "options": {"expires": MAIL_SECONDS}},
    },
)

app.steps["worker"].add("workers.clock:Clock")
app.user_options["worker"].add(Option(["--clock"], is_flag=True, help="Run the schedule in a thread of this worker."))


def only_send() -> None:
    """Wait for the broker as briefly as a request may. For processes that receive no messages; before the first one."""
    global _answers_requests
    _answers_requests = True
    if IS_REDIS:
        app.conf.broker_transport_options = app.conf.broker_transport_options | SENDING


@signals.worker_init.connect
def _share_memory(**_: object) -> None:
    """Freeze the garbage collector before the pool forks: a collection would write to every shared page."""
    import_module("pycparser.c_parser")  # each child would import it, to set its parent-death signal
    gc.collect()
    gc.freeze()


@signals.task_prerun.connect
def _carry_on(task: Any, **_: object) -> None:
    """Let a task work for the request that its message carries, and for none if it has none."""
    traces.continue_for((task.request.get("request_id") or "") if task.name in JOB_MESSAGES else "")


@signals.task_prerun.connect
def _mount(**_: object) -> None:
    """Let links in mails and messages begin with the path of the hub: Django sets it in the main thread alone."""
    set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")


def validate(verdict: int, *queues: str) -> bool:
    """Send the hint that a verdict may be claimed: to any worker, or to each of the named ones.

    Return False when the broker is down; a worker finds the row by itself within some seconds. A hint that a process
    which answers requests sends later counts as sent.
    """
    sent = [_hint(_verdicts, "workers.tasks.validate", verdict, queue=queue) for queue in queues or [""]]
    return all(sent)


def try_out(tryout: int, *queues: str) -> bool:
    """Send the hint that a try waits, as `validate` does for a verdict."""
    sent = [_send("workers.tasks.try_out", tryout, queue=queue) for queue in queues or [""]]
    return all(sent)


def post(delivery: int) -> bool:
    """Send the hint that a webhook delivery is due. Return False when the broker is down."""
    return _send("workers.tasks.deliver", delivery)


def derive(number: int) -> bool:
    """Send the hint that a derived version was asked for. Return False when the broker is down."""
    return _send("workers.tasks.derive", number)


def dispatch() -> None:
    """Send the hint that events wait in the outbox."""
    _hint(_pushes, "workers.tasks.dispatch")


def compare_weights() -> None:
    """Send the hint that a comparison of weights waits."""
    _hint(_pushes, "workers.tasks.compare_weights")


def write_plane() -> None:
    """Send the hint that documents of the read plane wait to be written."""
    _hint(_pushes, "workers.tasks.write_plane")


def scan() -> None:
    """Send the hint that the files of a revision wait to be looked through."""
    _hint(_pushes, "workers.tasks.scan")


def send_letter(to: str, subject: str, text: str) -> None:
    """Give a letter to a worker; while the broker is down the request itself brings it to the mail server."""
    if not _send("workers.tasks.letter", to, subject, text):
        from registry.talk import letters  # noqa: PLC0415  # its tables are loaded after this module

        letters.deliver(to, subject, text)


Hint = tuple[str, tuple[int, ...], str]  # the task, the rows that it is about, and the worker that it is for or ""


class _Later:
    """Hints that leave together, some time after the first of them: no request waits for the broker."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Hint, None] = {}  # in their order
        self._lock = threading.Lock()

    def add(self, hint: Hint) -> None:
        """Send a hint later, once if the same one comes again meanwhile."""
        with self._lock:
            is_timed = bool(self._due)
            self._due[hint] = None
        if is_timed:
            return
        try:
            threading.Timer(self._seconds, self._send).start()  # no daemon: a process that ends sends them before
        except (RuntimeError, MemoryError):  # the machine has no thread to give
            self._send()

    def _send(self) -> None:
        with self._lock:
            due = list(self._due)
            self._due.clear()  # before they are sent: rows that are committed from now on need a hint of their own
        with ExitStack() as stack:  # sends the others also where one fails in a way that nobody knew
            for task, rows, queue in reversed(due):
                stack.callback(_send, task, *rows, queue=queue)


_answers_requests = False
_pushes, _verdicts = _Later(PUSH_SECONDS), _Later(VERDICT_SECONDS)


def _hint(later: _Later, task: str, *rows: int, queue: str = "") -> bool:
    """Send the hint that rows wait, later if this process answers requests; return False when the broker is down."""
    if not _answers_requests:
        return _send(task, *rows, queue=queue)
    later.add((task, rows, queue))
    return True


_silent_until = 0.0


def _send(task: str, *rows: int | str, queue: str = "") -> bool:
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        headers = {"request_id": traces.current()}
        direct: Any = worker_direct(queue) if queue else None
        app.send_task(task, args=rows, queue=direct, headers=headers, retry=True, retry_policy=ONCE_MORE)
    except (KombuError, OSError) as problem:
        known = [row for row in rows if isinstance(row, int)]  # a letter is nobody's business, least of all its link
        logger.warning("The broker took no message: %s", problem, extra={"task": task, "rows": known})
        _silent_until = time.monotonic() + PAUSE_SECONDS
        return False
    return True
