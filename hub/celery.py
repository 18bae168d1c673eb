"""The queue: one Celery application, its limits and its clock; a message is only a hint, the row is the job."""

import logging
import os

from celery import Celery
from django.conf import settings
from kombu.exceptions import KombuError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

logger = logging.getLogger(__name__)

# Smallest first, or work is done twice or lost: the engine's own wall limit, a warning in the task, the kill of its
# process, the redelivery of its message (Redis), the closing of its channel (RabbitMQ's consumer_timeout default).
ENGINE_SECONDS_MOST = 600
SOFT_SECONDS = 840
HARD_SECONDS = 900
VISIBILITY_SECONDS = 1200
TIDY_SECONDS = 3600
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
IS_REDIS = settings.BROKER_URL.startswith("redis")

app = Celery("dovetail", broker=settings.BROKER_URL)
app.conf.update(
    include=("workers.tasks", "workers.lifecycle"),
    broker_connection_timeout=3,
    broker_connection_retry_on_startup=True,
    broker_transport_options=CONNECTING | (REDIS if IS_REDIS else {}),
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,  # the verdict's row is the result
    task_default_queue="dovetail",
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
    beat_schedule={
        "sweep": {
            "task": "workers.tasks.sweep",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": settings.SWEEP_SECONDS},  # sweeps do not pile up behind a long validation
        },
        "tidy": {"task": "workers.tasks.tidy", "schedule": TIDY_SECONDS, "options": {"expires": TIDY_SECONDS}},
    },
)


def ring(verdict: int) -> bool:
    """Send the hint that a verdict may be claimed; False when the broker is down, and then the sweep rings later."""
    return _send("workers.tasks.validate", verdict)


def post(delivery: int) -> bool:
    """Send the hint that a message to a webhook may be delivered; False as above."""
    return _send("workers.tasks.deliver", delivery)


def _send(task: str, row: int) -> bool:
    try:
        app.send_task(task, args=[row], retry=True, retry_policy=ONCE_MORE)
    except (KombuError, OSError) as problem:
        logger.warning("The broker took no message: %s", problem, extra={"task": task, "row": row})
        return False
    return True
