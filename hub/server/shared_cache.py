"""Django's cache for all web processes: in Redis where the broker is one, else in each process's own memory."""

import json
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache

from hub.monitoring import metrics
from hub.server import counters


class SharedCache(LocMemCache):
    """A cache of values that JSON can hold; while the broker does not answer, the process's own memory is used."""

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        shared, text, seconds = self._shared(key, version), json.dumps(value), self._seconds(timeout)
        answer = counters.ask(lambda pipe: pipe.set(shared, text, ex=seconds, nx=True))
        return super().add(key, value, timeout, version) if answer is None else bool(answer[0])

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        answer = counters.ask(lambda pipe: pipe.get(self._shared(key, version)))
        if answer is None:
            metrics.CACHE_GETS.labels("alone").inc()
            return super().get(key, default, version)
        metrics.CACHE_GETS.labels("miss" if answer[0] is None else "hit").inc()
        return default if answer[0] is None else json.loads(answer[0])

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        shared, text, seconds = self._shared(key, version), json.dumps(value), self._seconds(timeout)
        if counters.ask(lambda pipe: pipe.set(shared, text, ex=seconds)) is None:
            super().set(key, value, timeout, version)

    def delete(self, key: Any, version: int | None = None) -> bool:
        answer = counters.ask(lambda pipe: pipe.delete(self._shared(key, version)))
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
