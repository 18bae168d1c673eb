"""The gunicorn workers of the web: one that leaves its address when it stops, and one whose threads linger.

gunicorn keeps the listening sockets of a worker open until its last answer has ended (gunicorn 27). Whoever connects in
that minute is accepted by the kernel and served by nobody; nginx waits with them instead of asking another process.
It also lets all workers stop at once that have answered max_requests, and replaces them once their last slow reader
has gone: for a minute nobody would be answered. And whoever sends slowly holds a thread, or after the last answer the
one that accepts connections.

gunicorn's own threads hand the connection back to a poller after each answer, and the next request is answered by
another thread with another connection to the database. Measured on two quiet cores, with wrk on eight connections:
1,515 small files a second with this class, 913 with gunicorn's own (gunicorn 27). It uses private attributes of
gunicorn's worker. DOVETAIL_FAST_PATHS=off takes the class that does not linger.
"""

import fcntl
import select
import selectors
import socket
import tempfile
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import _DEFER, ThreadWorker

from hub.server import arriving
from hub.server.arriving import MOST_SECONDS, Has

LINGER_MS = 10
CLOSING_SECONDS, DRAINED = 2.0, 64 << 10
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
        self._closing: deque[Any] = deque()  # connections, by their timeout
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

    def handle(self, conn: Any) -> Any:
        """Answer a request that has come; give the connection back to the poller where it has not (arriving.py)."""
        if (
            type(conn.sock) is not socket.socket
            or conn.sock.family == socket.AF_UNIX
            or self.cfg.is_ssl
            or conn.is_http2
        ):
            return super().handle(conn)
        has, needed = arriving.look(conn.sock, conn.parser.unreader.buf.getvalue() if conn.parser else b"")
        if has is Has.ENOUGH:
            if vars(conn).pop("since", None):
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return super().handle(conn)
        if has is Has.TOO_MUCH:
            with suppress(OSError):
                conn.sock.sendall(arriving.TOO_LARGE)
            return False
        if has is Has.PART and time.monotonic() - vars(conn).setdefault("since", time.monotonic()) > MOST_SECONDS:
            return False
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed)
        return _DEFER

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Close a connection after its last answer without waiting for the client to close its end.

        gunicorn waits for two seconds, in the thread that accepts all connections (RFC 9112, section 9.6).
        """
        is_last = fs.cancelled() or (fs.exception() is None and not fs.result())
        if not (is_last and self.alive and type(conn.sock) is socket.socket):
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except OSError:  # the client has gone
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + CLOSING_SECONDS
        self._closing.append(conn)

    def _drain(self, conn: Any, client: socket.socket) -> None:
        """Drop what a client still sends after its last answer, and close the connection once it has closed its end."""
        try:
            if client.recv(DRAINED):
                return
        except OSError:
            pass
        self._closing.remove(conn)
        self._forget(conn)

    def _forget(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """Close connections that wait for a request by then: this process stops."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def murder_pending(self) -> None:
        """Close connections that waited too long for a request, or for a client that does not close its end."""
        super().murder_pending()
        while self._closing and self._closing[0].timeout < time.monotonic():
            self._forget(self._closing.popleft())

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
        waiting = len(self.keepalived_conns) + len(self.pending_conns) + len(self._closing)
        return max(0, int(self.nr_conns) - waiting)
