"""The outbox: an event is recorded in the transaction that causes it, and delivered to its consumers after the commit.

So a push, a verdict or a decision knows nothing of alerts, webhooks and feeds: registry/talk/dispatch.py reads these
rows. A row holds the state of that moment, because the repository may be gone when the row is read.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel import seams, traces
from registry.models import Namespace, OutboxEvent, Ref, Repository, User
from registry.sql.prepared import insert_rows

Kind = OutboxEvent.Kind


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository as it was: the fields that policy and messages need. `head` is the oid of main."""

    id: int
    type: str
    namespace_id: int
    namespace: str
    name: str
    private: bool
    quarantined: bool
    created_by: int
    head: str = ""
    binned: bool = False

    @classmethod
    def of(cls, repository: Repository) -> "Snapshot":
        return cls(
            id=repository.pk,
            type=repository.type,
            namespace_id=repository.namespace_id,
            namespace=repository.namespace.name,
            name=repository.name,
            private=repository.private,
            quarantined=repository.is_quarantined,
            created_by=repository.created_by_id,
            binned=repository.is_binned,
        )

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    def as_repository(self) -> Repository:
        """Return an unsaved copy of the repository as it was, to ask policy about; never save it."""
        return Repository(
            id=self.id,
            type=self.type,
            namespace=Namespace(id=self.namespace_id, name=self.namespace),
            name=self.name,
            private=self.private,
            created_by_id=self.created_by,
            quarantined_at=timezone.now() if self.quarantined else None,
        )


def snapshot(event: OutboxEvent) -> Snapshot:
    """Return the repository of an event as it was then."""
    assert event.repository is not None, f"{event.kind} is about no repository"
    return Snapshot(**event.repository)


def event(kind: Kind, repository: Repository | None, by: User | None = None, **data: object) -> OutboxEvent:
    """Return an event about the repository as it is now, to be written by `record_all`; see OutboxEvent for `data`."""
    then = asdict(Snapshot.of(repository)) if repository else None
    return OutboxEvent(kind=kind, repository=then, by=by, data=data, request_id=traces.current())


def record(kind: Kind, repository: Repository | None, by: User | None = None, **data: object) -> None:
    """Record an event; call it in the transaction that causes it."""
    record_all([event(kind, repository, by, **data)])


def record_all(events: Iterable[OutboxEvent]) -> None:
    """Record events in their order with one query, or two if some do not say what main is."""
    rows = list(events)
    for row in rows:
        if row.repository and row.data.get("ref") == Ref.MAIN:
            row.repository["head"] = row.data.get("new") or row.data["revision"]
    headless = {row.repository["id"] for row in rows if row.repository and not row.repository["head"]}
    heads: dict[int, str] = {}
    if headless:
        mains = Ref.objects.filter(repository__in=headless, name=Ref.MAIN)
        heads = dict(mains.values_list("repository", "revision__oid"))
    for row in rows:
        if row.repository and not row.repository["head"]:
            row.repository["head"] = heads.get(row.repository["id"], "")
    insert_rows(rows)
    # Withdrawn bytes are gone before the waiting events are handled, however many these are.
    for feature in seams.joined():
        feature.recorded(rows)
    transaction.on_commit(notify, robust=True)  # a broker that is down never fails a push


def notify() -> None:
    """Notify the workers of waiting events. A lost message costs half a minute, until the sweep finds the rows."""
    send: Callable[[], Any] = import_string(settings.OUTBOX_DOORBELL)
    send()
