"""The gunicorn workers of the web: one that leaves its address when it stops, and one whose threads linger.

gunicorn keeps the listening sockets of a worker open until its last answer has ended (gunicorn 27). Whoever connects in
that minute is accepted by the kernel and served by nobody; nginx waits with them instead of asking another process.
It also lets all workers stop at once that have answered max_requests, and replaces them once their last slow reader
has gone: for a minute nobody would be answered.

gunicorn's own threads hand the connection back to a poller after each answer, and the next request is answered by
another thread with another connection to the database. Measured on two quiet cores, with wrk on eight connections:
1,515 small files a second with this class, 913 with gunicorn's own (gunicorn 27). It uses private attributes of
gunicorn's worker. DOVETAIL_FAST_PATHS=off takes the class that does not linger.
"""

import fcntl
import select
import tempfile
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10
YIELD_SECONDS, MAX_YIELDS = 0.0003, 8
LATER_REQUESTS = 1000  # after which a worker tries again to leave for a new one
_worker: "LeavingWorker | None" = None
# Opened before gunicorn forks; the worker that leaves has it locked until its process has ended.
_leaving = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as this process


def is_stopping() -> bool:
    """Return whether this process takes no new connections and ends with its requests; False in any other process."""
    return _worker is not None and not _worker.alive


class LeavingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A `gthread` worker that closes its listening sockets as soon as it stops; then it ends what it has begun."""

    max_requests: int  # of gunicorn's

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

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request; leave for a new worker after max_requests of them, one worker at a time."""
        if self.alive and self.nr + 1 >= self.max_requests and not self._may_leave():
            self.max_requests = self.nr + LATER_REQUESTS
        return super().handle_request(req, conn)

    def _may_leave(self) -> bool:
        """Return whether others stay that take connections; none of them leaves before this one has gone."""
        if self.cfg.workers < 2:
            return False
        try:
            fcntl.lockf(_leaving, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


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
