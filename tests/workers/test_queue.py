"""The queue's settings, and a real worker on a real broker: killed, doubled, unheard."""

import time

from hub import celery as queue
from workers.sandbox import GRACE_SECONDS, START_SECONDS


def test_the_limits_are_in_the_only_order_in_which_nothing_is_lost_or_done_twice(settings):
    assert settings.ENGINE_SECONDS <= queue.ENGINE_SECONDS_MOST
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


def test_a_broker_that_is_down_is_no_exception_and_takes_no_time(monkeypatch):
    monkeypatch.setattr(queue.app.conf, "broker_url", "redis://127.0.0.1:1/0")
    started = time.monotonic()
    assert queue.ring(1) is False
    assert time.monotonic() - started < 5
