"""Django's cache for all web processes: in Redis where the broker is one, else in each process's own memory."""

import json
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache

from hub import counters, metrics

# Compared as digits, since Lua's numbers are exact up to 2**53 only, and positions go up to 2**63.
RAISE = """
local there = redis.call('GET', KEYS[1]) or ''
if #ARGV[1] > #there or (#ARGV[1] == #there and ARGV[1] > there) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
"""


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

    def raise_to(self, key: str, value: int, timeout: int) -> None:
        """Set a number, unless one that is not smaller is there, which then keeps its own time.

        Two processes that write at once leave the greater one. While the broker does not answer, nothing is set: no
        other process would see it.
        """
        counters.ask(lambda pipe: pipe.eval(RAISE, 1, self._shared(key, None), str(value), str(timeout)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        answer = counters.ask(lambda pipe: pipe.delete(self._shared(key, version)))
        return super().delete(key, version) if answer is None else bool(answer[0])

    def recall(self, keys: list[str]) -> list[Any] | None:
        """Return the values of these keys, None for a missing one; None in all where only this process knows them."""
        answer = counters.ask(lambda pipe: pipe.mget([self._shared(key, None) for key in keys]))
        return None if answer is None else [None if text is None else json.loads(text) for text in answer[0]]

    def _only_here(self, *_: Any, **__: Any) -> Any:
        """Refuse what Django's class would do in the memory of this process alone."""
        raise NotImplementedError("The shared cache knows get, set, add, raise_to and delete.")

    incr = touch = clear = has_key = _only_here

    def _shared(self, key: Any, version: int | None) -> str:
        return f"dovetail:cache:{self.make_and_validate_key(key, version)}"

    def _seconds(self, timeout: Any) -> int | None:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else max(1, round(seconds))
