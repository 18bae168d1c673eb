"""The audit log as moderators read it, and as people see what concerns them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q

from registry.kernel import policy, seams
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.kernel.texts.cursors import Page
from registry.models import AuditEvent, Membership, Namespace, Repository, User

HIDDEN_ACTOR = "a moderator"
STAFF = frozenset({User.Role.MODERATOR, User.Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Filter:
    """The events to show; an empty member excludes nothing."""

    actor: str = ""
    object: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """Return the condition; an object matches its parts too: `acme/x` finds `acme/x@REVISION`."""
        condition = Q()
        if self.actor:
            condition &= Q(actor=self.actor)
        if self.action:
            condition &= Q(action=self.action)
        if self.object:
            condition &= Q(object=self.object) | Q(object__startswith=f"{self.object}@")
        if self.since:
            condition &= Q(at__gte=self.since)
        if self.until:
            condition &= Q(at__lt=self.until)
        return condition


def listed(chosen: Filter, below: int, size: int) -> Page[AuditEvent]:
    """Return a page of the log, newest first, from below an id."""
    return cursors.newest_first(AuditEvent.objects.filter(chosen.condition()), below, size)


@dataclass(frozen=True, slots=True)
class Activity:
    """An event as owners see it: no notes, no addresses of others, and moderators without their names."""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    reason: str
    before: Any
    after: Any
    address: str


def activity(of: Repository | Namespace, caller: Caller, below: int, size: int) -> Page[Activity]:
    """Return a page of what happened to a repository, or to an organisation and all it owns.

    The caller's right to its settings is for the view to require.
    """
    concerned = Q(repository=of.pk) if isinstance(of, Repository) else Q(namespace=of.pk)
    page = cursors.newest_first(AuditEvent.objects.filter(concerned), below, size)
    namespace = of.namespace if isinstance(of, Repository) else of
    members = _members(namespace)
    return Page([as_owners_see(event, caller, members) for event in page.items], page.next)


def _members(namespace: Namespace) -> set[str]:
    members = Membership.objects.filter(organization__namespace=namespace).values_list("user__username", flat=True)
    return {namespace.name, *members}


def as_owners_see(event: AuditEvent, caller: Caller, members: Collection[str]) -> Activity:
    """Return an event without what owners do not see; moderators keep their names where they are `members`."""
    is_own = caller.user is not None and event.actor == caller.user.username
    is_hidden = event.role in STAFF and event.actor not in members and not is_own
    return Activity(
        id=event.pk,
        at=event.at,
        actor=HIDDEN_ACTOR if is_hidden else event.actor,
        action=event.action,
        object=event.object,
        reason=event.reason,
        before=event.before,
        after=event.after,
        address=event.address if is_own else "",
    )


def of_person(user: User) -> Iterator[Mapping[str, object]]:
    """Yield the log as the person may read it on pages: without names of moderators and of what is hidden from them."""
    of_own = Q(namespace=user.namespace_id)
    rows = AuditEvent.objects.filter(Q(actor=user.username) | of_own).order_by("pk")
    visible = Repository.objects.filter(policy.visible_to(Caller(user=user)), pk=OuterRef("repository"))
    is_shown = ExpressionWrapper(of_own | Q(repository__isnull=True) | Exists(visible), BooleanField())
    for event in rows.annotate(is_shown=is_shown)[: seams.MOST_EXPORTED]:
        seen = as_owners_see(event, Caller(user=user), {user.username})
        subject = {name: getattr(seen, name) if event.is_shown else None for name in ("object", "before", "after")}
        yield {"at": seen.at, "action": seen.action, "reason": seen.reason, "actor": seen.actor, **subject}
