"""How the web's threads wait: gunicorn's own worker with threads, but for who waits for a client's next request."""

import select
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER_MS = 10


class Lingering(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Its threads stay with a connection for a moment after each answer, as long as there is one for every other.

    Otherwise each request passes from the thread that watches all connections to another one and back, which takes a
    fifth of the time that a small file takes; and it is answered by another thread than the one before, with another
    connection to the database.
    """

    def handle(self, conn: Any) -> Any:
        """Answer requests of a connection; return what gunicorn does about the last of them."""
        while (kept := super().handle(conn)) is True and self._asks_again(conn):
            pass
        return kept

    def _asks_again(self, conn: Any) -> bool:
        """Whether the next request comes at once; no longer watched for where others would wait for the thread."""
        busy = self.nr_conns - len(self.keepalived_conns)
        if not self.alive or busy > self.cfg.threads or conn.parser.unreader.buf.getvalue():
            return False
        watch = select.poll()
        watch.register(conn.sock, select.POLLIN)
        return bool(watch.poll(LINGER_MS))
