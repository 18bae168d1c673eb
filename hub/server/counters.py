"""Counters shared by all web processes: in Redis where the broker is one, else in each process's own cache."""

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import caches
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
PREFIX = "dovetail:count:"
PATIENCE_SECONDS = 0.2  # a request must not wait for a counter
PAUSE_SECONDS = 10  # no retry for this long after the broker did not answer
_silent_until = 0.0


def count(key: str, seconds: int, more: int = 1) -> int:
    """Add to a key and return its total; the key expires `seconds` after its first use."""
    replies = ask(lambda pipe: (pipe.set(PREFIX + key, 0, ex=seconds, nx=True), pipe.incrby(PREFIX + key, more)))
    return _here(key, seconds, more) if replies is None else int(replies[1])


def remember(key: str, value: float, seconds: int) -> None:
    """Store a number under a key for all processes, for `seconds`."""
    if ask(lambda pipe: pipe.set(PREFIX + key, value, ex=seconds)) is None:
        caches["counters"].set(key, value, seconds)


def recall(*keys: str) -> list[float]:
    """Return the numbers stored under these keys; 0 for a missing one."""
    replies = ask(lambda pipe: pipe.mget([PREFIX + key for key in keys]))
    values = [caches["counters"].get(key) for key in keys] if replies is None else replies[0]
    return [float(value or 0) for value in values]


def forget(*keys: str) -> None:
    """Delete these keys."""
    ask(lambda pipe: pipe.delete(*(PREFIX + key for key in keys)))
    caches["counters"].delete_many(keys)


def ask(commands: Callable[["Pipeline"], object]) -> list[Any] | None:
    """Return the broker's answers to some commands; None without a broker, or while it does not answer."""
    global _silent_until
    broker = _broker()
    if broker is None or time.monotonic() < _silent_until:
        return None
    try:
        with broker.pipeline() as pipe:
            commands(pipe)
            return pipe.execute()
    except RedisError as problem:
        _silent_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("Requests are counted by each web process alone: %s", problem)
        return None


@functools.cache
def _broker() -> "Redis | None":
    if not settings.BROKER_URL.startswith("redis"):
        return None
    url = settings.BROKER_URL.replace("redis+socket://", "unix://", 1)
    return Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)


def _here(key: str, seconds: int, more: int) -> int:
    cache = caches["counters"]
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key, more)
    except ValueError:  # dropped in between, because the cache is full
        return more
