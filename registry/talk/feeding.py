"""Creates entries of the feed of changes from events."""

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.models import Event, OutboxEvent, Repository

RELEASES: dict[str, str] = {
    Kind.RELEASE_CREATED: "create",
    Kind.RELEASE_EDITED: "update",
    Kind.RELEASE_DELETED: "delete",
}
KINDS: dict[str, str] = {
    Kind.CREATED: Event.Kind.PUSH,
    Kind.REF_MOVED: Event.Kind.PUSH,
    Kind.VERDICT_REACHED: Event.Kind.VERDICT,
    Kind.QUARANTINED: Event.Kind.QUARANTINE,
    Kind.RELEASED: Event.Kind.RELEASE,
    Kind.DELETED: Event.Kind.DELETE,
    Kind.MOVED: Event.Kind.MOVE,
    Kind.RESTORED: Event.Kind.RESTORE,
    Kind.YANKED: Event.Kind.YANK,
    Kind.UNYANKED: Event.Kind.UNYANK,
    Kind.ALIAS_MOVED: Event.Kind.ALIAS,
    Kind.REGRESSION: Event.Kind.REGRESSION,
    **dict.fromkeys(RELEASES, Event.Kind.TAG_RELEASE),
}
DETAILS: dict[str, tuple[str, ...]] = {
    Event.Kind.PUSH: ("ref",),
    Event.Kind.VERDICT: ("state", "number", "check"),
    Event.Kind.MOVE: ("before",),
    Event.Kind.YANK: ("reason",),
    Event.Kind.UNYANK: ("reason",),
    Event.Kind.REGRESSION: ("held", "because", "against", "reason"),
    Event.Kind.ALIAS: ("alias", "action", "before", "after", "reason"),
    Event.Kind.TAG_RELEASE: ("tag", "title", "prerelease"),
}


def consume(event: OutboxEvent) -> None:
    """Add the event to the feed if its kind belongs there."""
    kind, data = KINDS.get(event.kind), event.data
    if kind is None or (event.kind == Kind.REF_MOVED and not data["is_push"]):
        return
    then = outbox.snapshot(event)
    details = {name: data.get(name) for name in DETAILS.get(kind, ())}
    if event.kind in RELEASES:
        details["action"] = RELEASES[event.kind]
    if data.get("incomplete"):  # of a push that broke off
        details["incomplete"] = True
    Event.objects.create(
        at=event.at,
        kind=kind,
        repository_id=then.id if Repository.objects.filter(pk=then.id).exists() else None,
        type=then.type,
        name=data["after"] if event.kind == Kind.MOVED else then.full_name,
        was_public=not then.private,
        revision=data.get("revision") or data.get("new") or "",
        data=details,
    )
