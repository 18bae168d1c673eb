"""Counters and Django's cache of all web processes: in Redis where the broker is one, else in each one's memory."""

import functools
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from hub.monitoring import metrics

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


class SharedCache(LocMemCache):
    """A cache of values that JSON can hold; while the broker does not answer, the process's own memory is used."""

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        shared, text, seconds = self._shared(key, version), json.dumps(value), self._seconds(timeout)
        answer = ask(lambda pipe: pipe.set(shared, text, ex=seconds, nx=True))
        return super().add(key, value, timeout, version) if answer is None else bool(answer[0])

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        answer = ask(lambda pipe: pipe.get(self._shared(key, version)))
        if answer is None:
            metrics.CACHE_GETS.labels("alone").inc()
            return super().get(key, default, version)
        metrics.CACHE_GETS.labels("miss" if answer[0] is None else "hit").inc()
        return default if answer[0] is None else json.loads(answer[0])

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        shared, text, seconds = self._shared(key, version), json.dumps(value), self._seconds(timeout)
        if ask(lambda pipe: pipe.set(shared, text, ex=seconds)) is None:
            super().set(key, value, timeout, version)

    def delete(self, key: Any, version: int | None = None) -> bool:
        answer = ask(lambda pipe: pipe.delete(self._shared(key, version)))
        return super().delete(key, version) if answer is None else bool(answer[0])

    def _only_here(self, *_: Any, **__: Any) -> Any:
        """Refuse what Django's class would do in the memory of this process alone."""
        raise NotImplementedError("The shared cache knows get, set, add and delete.")

    incr = touch = clear = has_key = _only_here

    def _shared(self, key: Any, version: int | None) -> str:
        return f"dovetail:cache:{self.make_and_validate_key(key, version)}"

    def _seconds(self, timeout: Any) -> int | None:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else max(1, round(seconds))
