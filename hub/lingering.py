"""How the web's threads wait: gunicorn's own worker with threads, but for who waits for a client's next request."""

import select
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10
YIELD_SECONDS, MOST_YIELDED = 0.0003, 8


class Lingering(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Its threads stay with a connection for a moment after each answer, as long as there is one for every other.

    Otherwise each request passes from the thread that watches all connections to another one and back, which takes a
    fifth of the time that a small file takes; and it is answered by another thread than the one before, with another
    connection to the database.
    """

    def accept(self, listener: Any) -> None:
        """Take a new connection, unless a process that has less to do takes it first.

        Whoever wakes first takes it otherwise, and one process had all eight connections of a client as often as not.
        """
        time.sleep(YIELD_SECONDS * min(self._busy, MOST_YIELDED))
        super().accept(listener)

    def handle(self, conn: Any) -> Any:
        """Answer requests of a connection; return what gunicorn does about the last of them."""
        while (kept := super().handle(conn)) is True and self._asks_again(conn):
            pass
        return kept

    def _asks_again(self, conn: Any) -> bool:
        """Whether the next request comes at once; no longer watched for where others would wait for the thread."""
        if not self.alive or self._busy > self.cfg.threads or conn.parser.unreader.buf.getvalue():
            return False
        watch = select.poll()
        watch.register(conn.sock, select.POLLIN)
        return bool(watch.poll(LINGER_MS))

    @property
    def _busy(self) -> int:
        """How many connections have a thread, or wait for one."""
        return int(self.nr_conns) - len(self.keepalived_conns)
