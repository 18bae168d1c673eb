"""gunicorn's worker of threads, which leaves its address as soon as it stops.

gunicorn keeps the listening sockets of a worker open until its last answer has ended (gunicorn 27). A client that
connects in that minute is accepted by the kernel and served by nobody; nginx waits with it instead of asking another
process.
"""

import select

from gunicorn.workers.gthread import ThreadWorker

_worker: "LeavingWorker | None" = None


def is_stopping() -> bool:
    """Return whether this process takes no new connections and ends with its requests; False in any other process."""
    return _worker is not None and not _worker.alive


class LeavingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A `gthread` worker that closes its listening sockets as soon as it stops; then it ends what it has begun."""

    alive: bool  # of gunicorn's

    def init_process(self) -> None:
        """Serve until the end of the process."""
        global _worker
        _worker = self
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to take connections; for good, with those that have come already, where the process stops."""
        super().set_accept_enabled(enabled)
        if enabled or (self.alive and self.is_parent_alive()):
            return
        self.alive = False  # gunicorn stops without its first process, too, and leaves this as it was
        for listener in self.sockets:
            for _ in range(self.cfg.backlog):  # at most as many wait there; more come as long as it is open
                if not select.select([listener], [], [], 0)[0]:
                    break
                self.accept(listener)
            listener.close()
