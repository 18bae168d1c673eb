"""Counters that all web processes share: in the broker where that is a Redis, else each process has its own."""

import functools
import logging
import time

from django.conf import settings
from django.core.cache import caches
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
PREFIX = "dovetail:count:"
PATIENCE_SECONDS = 0.2  # a request must not wait for a counter
PAUSE_SECONDS = 10  # how long nobody tries again after the broker did not answer
_silent_until = 0.0


def count(key: str, seconds: int) -> int:
    """Count once and return how often this key was counted since it began; it is forgotten `seconds` after that."""
    global _silent_until
    broker = _broker()
    if broker is not None and time.monotonic() >= _silent_until:
        try:
            with broker.pipeline(transaction=False) as pipe:
                pipe.set(PREFIX + key, 0, ex=seconds, nx=True)
                pipe.incr(PREFIX + key)
                return int(pipe.execute()[1])
        except RedisError as problem:
            _silent_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("Requests are counted by each web process alone: %s", problem)
    return _here(key, seconds)


@functools.cache
def _broker() -> "Redis | None":
    if not settings.BROKER_URL.startswith("redis"):
        return None
    url = settings.BROKER_URL.replace("redis+socket://", "unix://", 1)
    return Redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS)


def _here(key: str, seconds: int) -> int:
    cache = caches["counters"]
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # dropped in between, because the cache is full
        return 1
