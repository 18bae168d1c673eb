"""The places of the domain where features join it: the core asks `joined()`, and never names a feature."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.models import OutboxEvent, User  # the tables are loaded after this module


@dataclass(frozen=True, slots=True)
class Feature:
    """What one feature adds to the domain; each place is empty by default."""

    # What it does with each event of the outbox, by a name for the log; an error is tried again later, alone.
    consumers: "tuple[tuple[str, Callable[[OutboxEvent], None]], ...]" = ()
    # What a worker calls after the core's own sweeps, in bounded slices.
    every_minute: tuple[Callable[[], object], ...] = ()
    every_hour: tuple[Callable[[], object], ...] = ()
    # (document, rows) of what it keeps of a person, for the export: no secrets, nothing that concerns other people.
    personal_data: "Callable[[User], Iterable[tuple[str, Iterable[object]]]]" = lambda user: ()


@dataclass(frozen=True, slots=True)
class Jobs:
    """What one feature adds to the work of the workers; its `jobs.py` may hold Celery tasks as well."""

    after_push: tuple[Callable[[], object], ...] = ()  # reads files of strangers, in bounded slices


_joined: list[Feature] = []


def join(features: Iterable[Feature]) -> None:
    """Take the features of this process, when Django has loaded every table."""
    _joined[:] = features


def joined() -> tuple[Feature, ...]:
    """Return the features in their declared order."""
    return tuple(_joined)
