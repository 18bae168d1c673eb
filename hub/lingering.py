"""The gunicorn workers of the web: one that leaves its address when it stops, and one whose threads linger.

gunicorn keeps the listening sockets of a worker open until its last answer has ended (gunicorn 27). Whoever connects in
that minute is accepted by the kernel and served by nobody; nginx waits with them instead of asking another process.

gunicorn's own threads hand the connection back to a poller after each answer, and the next request is answered by
another thread with another connection to the database. Measured on two quiet cores, with wrk on eight connections:
1,515 small files a second with this class, 913 with gunicorn's own (gunicorn 27). It uses private attributes of
gunicorn's worker. DOVETAIL_FAST_PATHS=off takes the class that does not linger.
"""

import select
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10
YIELD_SECONDS, MAX_YIELDS = 0.0003, 8
_worker: "LeavingWorker | None" = None


def is_stopping() -> bool:
    """Return whether this process takes no new connections and ends with its requests; False in any other process."""
    return _worker is not None and not _worker.alive


class LeavingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A `gthread` worker that closes its listening sockets as soon as it stops; then it ends what it has begun."""

    def init_process(self) -> None:
        """Serve until the end of the process."""
        global _worker
        _worker = self
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to take connections; for good, with those that have come already, where the process stops."""
        super().set_accept_enabled(enabled)
        if enabled:
            return
        if not self.is_parent_alive():
            self.alive = False  # gunicorn stops too, and leaves this as it was
        if self.alive:
            return
        for listener in self.sockets:
            for _ in range(self.cfg.backlog):  # at most as many wait there; more come as long as it is open
                super().accept(listener)
                if not select.select([listener], [], [], 0)[0]:
                    break
            listener.close()


class LingeringWorker(LeavingWorker):
    """Its threads stay with a connection after an answer, while other threads are free."""

    def accept(self, listener: Any) -> None:
        """Accept a connection, later the more of them this process has, so that an idler process may take it first.

        Without the wait the process that wakes first takes it, and one of two often has all connections of a client.
        """
        time.sleep(YIELD_SECONDS * min(self._active, MAX_YIELDS))
        super().accept(listener)

    def handle(self, conn: Any) -> Any:
        """Answer requests of a connection until it pauses; return what gunicorn does about the last of them."""
        while (is_kept := super().handle(conn)) is True and self._has_next_request(conn):
            pass
        return is_kept

    def _has_next_request(self, conn: Any) -> bool:
        """Return whether the next request arrives within LINGER_MS; False at once where others wait for a thread."""
        if not self.alive or self._active > self.cfg.threads or conn.parser.unreader.buf.getvalue():
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(LINGER_MS))

    @property
    def _active(self) -> int:
        """The number of connections that have a thread or wait for one."""
        # gunicorn counts a connection down twice whose response broke off.
        return max(0, int(self.nr_conns) - len(self.keepalived_conns))
