"""Reads for a person's home, each a query or two: waiting tasks, running validations, and their adapters."""

from collections.abc import Iterable

from django.db.models import Count, F, Q, QuerySet

from registry.kernel import policy
from registry.kernel.callers import WRITERS
from registry.kernel.policy import Caller
from registry.models import AccessRequest, Membership, Namespace, Regression, Repository, Verdict
from registry.proof.verdicts import queue
from registry.repos.refs import MAIN

MOST_NEEDS = 5  # of one kind
MOST_OPEN, MOST_ADAPTERS, MOST_ORGANIZATIONS = 8, 8, 12
State = Verdict.State


def adapters(by: Caller) -> QuerySet[Repository]:
    """Return the adapters that the caller may push to, the last changed first."""
    rows = Repository.objects.filter(policy.writable_by(by), type=Repository.Type.MODEL)
    return rows.select_related("namespace").order_by("-updated_at", "-pk")


def failing(by: Caller) -> QuerySet[Repository]:
    """Return those whose newest version failed, without those that moderators hold back or that are archived."""
    rows = adapters(by).filter(state=State.FAILED, archived_at__isnull=True)
    return rows.filter(is_main_held=False, quarantined_at__isnull=True)[:MOST_NEEDS]


def regressed(by: Caller) -> QuerySet[Regression]:
    """Return the comparisons for which `verified` passes the newest version of such an adapter by."""
    mine = adapters(by).filter(archived_at__isnull=True, is_main_held=False, quarantined_at__isnull=True).order_by()
    rows = Regression.objects.filter(outcome=Regression.Outcome.WORSE, override_at__isnull=True)
    rows = rows.filter(revision__refs__name=MAIN, revision__repository__in=mine, against__isnull=False)
    return rows.select_related("revision__repository__namespace").order_by("-pk")[:MOST_NEEDS]


def asked_for(by: Caller) -> QuerySet[Repository]:
    """Return the repositories whose administrator the caller is and that people ask for; `asking` counts them."""
    is_asked = Q(access_requests__status=AccessRequest.Status.PENDING)
    mine = Repository.objects.filter(policy.in_reach(by, {Membership.Role.ADMIN}), quarantined_at__isnull=True)
    rows = mine.filter(is_asked).annotate(asking=Count("access_requests"))
    return rows.select_related("namespace").order_by("-asking", "-pk")[:MOST_NEEDS]


def open_verdicts(by: Caller) -> list[Verdict]:
    """Return the queued and running verdicts that take the turns of the caller's namespaces, the next one first."""
    owners = [namespace for namespace, role in by.roles.items() if role in WRITERS]
    rows = Verdict.objects.filter(owner__in=owners, state__in=(State.QUEUED, State.RUNNING))
    rows = rows.select_related("owner", "revision__repository__namespace__person")
    ordered = rows.order_by("-state", F("turn").asc(nulls_last=True), "pk")  # running, then queued
    return [row for row in ordered[:MOST_OPEN] if policy.may_see(by, row.revision.repository)]


def positions(verdicts: Iterable[Verdict]) -> dict[int, int]:
    """Return the place in the queue of each of these that has a turn, from 1, by row id; one query."""
    waiting = [row for row in verdicts if row.turn is not None]
    earlier = {f"before_{row.pk}": Q(turn__lt=row.turn) | Q(turn=row.turn, pk__lt=row.pk) for row in waiting}
    before = {name: Count("pk", filter=condition) for name, condition in earlier.items()}
    counts = queue.ready().aggregate(**before) if before else {}
    return {row.pk: 1 + counts[f"before_{row.pk}"] for row in waiting}


def organizations(by: Caller) -> list[tuple[Namespace, str]]:
    """Return the organisations that the caller is in, each with their role."""
    rows = Namespace.objects.filter(pk__in=by.memberships).order_by("name")[:MOST_ORGANIZATIONS]
    return [(row, by.memberships[row.pk].role) for row in rows]
