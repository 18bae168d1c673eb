"""Counters that all web processes share: in the broker where that is a Redis, else each process has its own."""

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
PAUSE_SECONDS = 10  # how long nobody tries again after the broker did not answer
_silent_until = 0.0


def count(key: str, seconds: int, more: int = 1) -> int:
    """Add to a key and return what it has come to since it began; it is forgotten `seconds` after that."""
    found = _ask(lambda pipe: (pipe.set(PREFIX + key, 0, ex=seconds, nx=True), pipe.incrby(PREFIX + key, more)))
    return _here(key, seconds, more) if found is None else int(found[1])


def remember(key: str, value: float, seconds: int) -> None:
    """Keep a number under a key, for all processes, as long as that."""
    if _ask(lambda pipe: pipe.set(PREFIX + key, value, ex=seconds)) is None:
        caches["counters"].set(key, value, seconds)


def recall(*keys: str) -> list[float]:
    """Return the numbers kept under these keys; 0 where there is none."""
    found = _ask(lambda pipe: pipe.mget([PREFIX + key for key in keys]))
    values = [caches["counters"].get(key) for key in keys] if found is None else found[0]
    return [float(value or 0) for value in values]


def forget(*keys: str) -> None:
    """Drop what was counted or kept under these keys."""
    _ask(lambda pipe: pipe.delete(*(PREFIX + key for key in keys)))
    caches["counters"].delete_many(keys)


def _ask(commands: Callable[["Pipeline"], object]) -> list[Any] | None:
    """Return what the broker answers to some commands; None where there is none, or it is silent."""
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
