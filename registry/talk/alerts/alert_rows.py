"""Writes alerts: one row for each recipient; an unread one about the same subject is replaced, with a higher count."""

from collections.abc import Iterable, Mapping
from typing import Any

from registry.models import Alert, Discussion, Repository, Topic, User
from registry.talk.alerts import recipients
from registry.talk.alerts.notices import NOTICES
from registry.talk.alerts.recipients import Recipient

Kind = Alert.Kind
OF_MODERATORS = (Topic.HOLDS, Topic.REPORTS)
_STRENGTH = (Kind.SAID, Kind.OPENED, Kind.MENTIONED)  # of alerts about a thread, the strongest last


def create(people: Iterable[int], kind: Kind, by: User | None = None, **columns: Any) -> None:
    """Write an alert for each of these people (row ids) who did not do it and who want alerts of its topic.

    Which moderator decided something is not stored: only moderators may see that.
    """
    topics = dict.fromkeys(people, NOTICES[kind].topic)
    chosen = recipients.select(topics, by, columns.get("repository"))
    insert(kind, chosen, None if NOTICES[kind].topic in OF_MODERATORS else by, **columns)


def insert(kind: Kind, chosen: Mapping[int, Recipient], by: User | None, **columns: Any) -> None:
    """Write an alert for each recipient; who has one about the same subject keeps it."""
    rows = [_row(kind, recipient, by, **columns) for recipient in chosen.values()]
    Alert.objects.bulk_create(rows, ignore_conflicts=True)


def notify(repository: Repository, kinds: Mapping[int, Kind], by: User | None, **columns: Any) -> None:
    """Write an alert for each person (row id → kind), replacing an unread one about the same subject."""
    topics = {person: NOTICES[kind].topic for person, kind in kinds.items()}
    replace(repository, kinds, recipients.select(topics, by, repository), by, **columns)


def replace(
    repository: Repository,
    kinds: Mapping[int, Kind],
    chosen: Mapping[int, Recipient],
    by: User | None,
    *,
    discussion: Discussion | None = None,
    bases_of: Mapping[int, str] | None = None,
    **columns: Any,
) -> None:
    """Write an alert for each recipient, replacing an unread one about the same discussion, else of the same kind.

    `bases_of` says which people (row id) get it because they follow a base.
    """
    unread = Alert.objects.filter(user__in=list(chosen), repository=repository, read_at__isnull=True)
    unread = unread.filter(discussion=discussion) if discussion else unread.filter(kind__in=set(kinds.values()))
    before = {alert.user_id: alert for alert in unread.select_related("by")}
    unread.delete()
    rows = []
    for person, recipient in chosen.items():
        row = _row(kinds[person], recipient, by, repository=repository, discussion=discussion, **columns)
        if base := (bases_of or {}).get(person):
            row.data = {"base": base}
        if old := before.get(person):
            row.count += old.count
            if _strength(old.kind) > _strength(row.kind):
                row.kind, row.topic, row.by = old.kind, old.topic, old.by
        rows.append(row)
    Alert.objects.bulk_create(rows, ignore_conflicts=True)


def _row(kind: Kind, recipient: Recipient, by: User | None, **columns: Any) -> Alert:
    return Alert(user_id=recipient.user, kind=kind, topic=recipient.topic, mail=recipient.mail, by=by, **columns)


def _strength(kind: str) -> int:
    return _STRENGTH.index(Kind(kind)) if kind in _STRENGTH else -1
