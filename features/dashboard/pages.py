"""The home of a signed-in person, in place of the one for strangers; other features add to it.

It reads waiting tasks, running validations and adapters in a query or two each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from dovetail.adapters.results.report import CheckResult
from hub.addresses import origin
from hub.site.account.storage import NamespaceUsage
from hub.site.lists import ListRow, row_of, rows_of
from hub.site.organization.organizations import OFFERS
from hub.site.panels import Pages, Panel
from hub.site.repository.repository import SPARKLINE_DAYS, Sparkline
from hub.site.routing import at
from hub.site.visitor import caller, person
from registry.kernel import policy, quotas
from registry.kernel.callers import WRITERS
from registry.kernel.policy import Caller
from registry.models import AccessRequest, Membership, Namespace, Regression, Repository, Verdict
from registry.people.organizations import invitations
from registry.proof.verdicts import queue
from registry.repos import download_counts
from registry.repos.lists import catalog
from registry.repos.lists.catalog import ListedVerdict, Query
from registry.repos.refs import MAIN

RECENT = 5  # verified adapters
MOST_NEEDS = 5  # of one kind
MOST_OPEN, MOST_ADAPTERS, MOST_ORGANIZATIONS = 8, 8, 12
State = Verdict.State


@dataclass(frozen=True, slots=True)
class Failure:
    """An adapter whose newest version failed, with the first check that says why."""

    repository: Repository
    verdict: Verdict
    check: CheckResult


@dataclass(frozen=True, slots=True)
class Tile:
    """An adapter of one's own, with its downloads."""

    row: ListRow
    sparkline: Sparkline


@dataclass(frozen=True, slots=True)
class Open:
    """A verdict that is queued or running; `position` is its place in the queue, where it has one."""

    verdict: Verdict
    position: int | None

    @property
    def waited(self) -> str:
        """The time since it was started, or queued."""
        since = self.verdict.started_at if self.verdict.state == Verdict.State.RUNNING else None
        seconds = max(0, round((timezone.now() - (since or self.verdict.queued_at)).total_seconds()))
        if seconds < 100:
            return gettext("{count} s").format(count=seconds)
        if seconds < 6_000:
            return gettext("{count} min").format(count=seconds // 60)
        return gettext("{count} h").format(count=seconds // 3600)


def _home(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return what is shown to the person; the number of queries does not grow with what they have."""
    request = page["request"]
    by, user = caller(request), person(request)
    adapters, failing = list(own_adapters(by)[: MOST_ADAPTERS + 1]), list(own_failing(by))
    listed = catalog.listed_verdicts({*adapters, *failing})
    return {
        "failures": _failures(failing, listed),
        "regressed": regressed(by),
        "asked_for": asked_for(by),
        "invitations": [(row, OFFERS[row.role]) for row in invitations.list_received(by)[:MOST_NEEDS]],
        "tiles": _tiles(adapters[:MOST_ADAPTERS], listed),
        "has_more": len(adapters) > MOST_ADAPTERS,
        "organizations": organizations(by),
        "owner": NamespaceUsage(user.namespace, quotas.usage_of(user.namespace), []),
        "address": origin(request),
        "recent": partial(_recent, by),  # asked where nothing followed has news
        **_running(by),
    }


def _failures(repositories: list[Repository], listed: Mapping[int, ListedVerdict]) -> list[Failure]:
    failures = []
    for repository in repositories:
        if of := listed.get(repository.pk):
            verdict = of.newest or of.verdict
            if check := verdict.report.refusal:
                failures.append(Failure(repository, verdict, check))
    return failures


def _tiles(repositories: list[Repository], listed: Mapping[int, ListedVerdict]) -> list[Tile]:
    days = download_counts.of_days([repository.pk for repository in repositories], SPARKLINE_DAYS)
    return [Tile(row_of(each, listed.get(each.pk)), Sparkline(days[each.pk])) for each in repositories]


def _recent(by: Caller) -> list[ListRow]:
    return rows_of(catalog.search(by, Query(verdict=["passed"], only_verified=True), limit=RECENT))


def _running(by: Caller) -> Mapping[str, object]:
    verdicts = open_verdicts(by)
    positions = positions_of(verdicts)
    return {
        "running": [Open(verdict, positions.get(verdict.pk)) for verdict in verdicts],
        "running_key": "-".join(str(verdict.pk) for verdict in verdicts),
        "waits_long": all(verdict.reason or verdict.held_at for verdict in verdicts),
    }


@require_safe
def running(request: HttpRequest) -> HttpResponse:
    """Show the list alone, which the home polls with the verdicts that it shows; it is read again when one ends."""
    person(request)
    shown = _running(caller(request))
    if shown["running_key"] != request.GET.get("was", ""):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "dashboard/running.html", shown)


def own_adapters(by: Caller) -> QuerySet[Repository]:
    """Return the adapters that the caller may push to, the last changed first."""
    rows = Repository.objects.filter(policy.writable_by(by), type=Repository.Type.MODEL)
    return rows.select_related("namespace").order_by("-updated_at", "-pk")


def own_failing(by: Caller) -> QuerySet[Repository]:
    """Return those whose newest version failed, without those that moderators hold back or that are archived."""
    rows = own_adapters(by).filter(state=State.FAILED, archived_at__isnull=True)
    return rows.filter(is_main_held=False, quarantined_at__isnull=True)[:MOST_NEEDS]


def regressed(by: Caller) -> QuerySet[Regression]:
    """Return the comparisons for which `verified` passes the newest version of such an adapter by."""
    mine = own_adapters(by).filter(archived_at__isnull=True, is_main_held=False, quarantined_at__isnull=True).order_by()
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


def positions_of(verdicts: Iterable[Verdict]) -> dict[int, int]:
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


PAGES = Pages(
    routes=[at("dashboard/running", running, "running")],
    panels=(Panel("own-home", "dashboard/home.html", _home),),
)
