"""The request that is being answered: whether it may read from a replica, from which one, and as who."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Reading:
    """One request. Its view is the only part that reads from a replica, and always from the same one."""

    waits_for_caller: bool = False  # it carries credentials that nobody has looked up yet
    user: int | None = None
    is_open: bool = False  # the view of a route that may read from a replica runs
    alias: str = ""  # of the replica, or of the primary, once the first read has decided
    has_failed: bool = False  # the replica gave no answer


_current: ContextVar[Reading | None] = ContextVar("reading", default=None)


def current() -> Reading | None:
    """Return the request of this thread; None in workers, commands, and on a hub without replicas."""
    return _current.get()


def begin(reading: Reading | None) -> None:
    """Let this thread work for a request, or for none."""
    _current.set(reading)


def note_caller(user: int | None) -> None:
    """Say who the credentials of the request belong to."""
    if (reading := _current.get()) is not None:
        reading.waits_for_caller, reading.user = False, user
