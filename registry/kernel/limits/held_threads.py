"""The threads of a web process that requests hold while others decide how long, counted together.

Streams, long polls and readers of other hubs have limits of their own kind. Large files and requests with large bodies
have this one alone: the client decides how long they take. The sum keeps the rest of the threads for
pages, small files and probes, also when all kinds come at once.
"""

from collections import deque

MOST = 48  # of a process that has 64 threads (deploy/gunicorn.conf.py)


class HeldThreads:
    """Counts them, without a lock: the garbage collector may give one back, in the middle of anything."""

    def __init__(self, most: int) -> None:
        self._free = deque([None] * most)

    def __len__(self) -> int:
        """Return how many may still be held."""
        return len(self._free)

    def take(self) -> bool:
        """Count one more, unless that is too many."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """Count one less."""
        self._free.append(None)


held_threads = HeldThreads(MOST)
