"""Places for requests that hold a thread while nothing happens: few of a process, fewer of one caller or network."""

import threading
from collections import Counter
from collections.abc import Callable

from rest_framework.request import Request

from hub.origin import network_of
from registry.kernel.limits.held_threads import held_threads
from registry.kernel.policy import Caller


class NoPlace(Exception):
    """No place is free: in the whole process (`is_full`), or of those that one caller or network may have."""

    def __init__(self, *, is_full: bool) -> None:
        super().__init__()
        self.is_full = is_full


class Places:
    """Counts the requests of one kind that wait in this process. Who is not signed in is counted by network alone."""

    def __init__(self, most: int, *, of_caller: int, of_network: int) -> None:
        self.most, self.of_caller, self.of_network = most, of_caller, of_network
        self._taken: Counter[str] = Counter()  # by caller, by network, and "" for all
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """The number of places that are taken now."""
        return self._taken[""]

    def take(self, request: Request) -> Callable[[], None]:
        """Take a place, and return the function that gives it back, at most once. Raises NoPlace."""
        limits = self._limits(request)
        with self._lock:
            if self._taken[""] >= self.most:
                raise NoPlace(is_full=True)
            if any(self._taken[holder] >= limit for holder, limit in limits.items()):
                raise NoPlace(is_full=False)
            if not held_threads.take():
                raise NoPlace(is_full=True)
            self._taken.update(["", *limits])
        held = ["", *limits]

        def give_back() -> None:
            with self._lock:
                if held:
                    held_threads.give_back()
                while held:
                    holder = held.pop()
                    self._taken[holder] -= 1
                    if not self._taken[holder]:
                        del self._taken[holder]

        return give_back

    def _limits(self, request: Request) -> dict[str, int]:
        caller, network = request.auth, network_of(request._request)
        user = caller.user if isinstance(caller, Caller) else None
        if user is None:
            return {f"network {network}": self.of_caller}
        return {f"user {user.pk}": self.of_caller, f"network {network}": self.of_network}
