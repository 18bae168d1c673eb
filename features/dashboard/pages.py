"""The home of a signed-in person, in place of the one for strangers; other features add to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from dovetail.adapters.results.report import CheckResult
from features.dashboard import verbs
from hub.addresses import origin
from hub.site.account.storage import NamespaceUsage
from hub.site.lists import ListRow, row_of, rows_of
from hub.site.organization.organizations import OFFERS
from hub.site.panels import Pages, Panel
from hub.site.repository.repository import SPARKLINE_DAYS, Sparkline
from hub.site.routing import at
from hub.site.visitor import caller, person
from registry.kernel import quotas
from registry.kernel.policy import Caller
from registry.models import Repository, Verdict
from registry.people.organizations import invitations
from registry.repos import download_counts
from registry.repos.lists import catalog
from registry.repos.lists.catalog import ListedVerdict, Query

RECENT = 5  # verified adapters


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
    adapters, failing = list(verbs.adapters(by)[: verbs.MOST_ADAPTERS + 1]), list(verbs.failing(by))
    listed = catalog.listed_verdicts({*adapters, *failing})
    return {
        "failures": _failures(failing, listed),
        "regressed": verbs.regressed(by),
        "asked_for": verbs.asked_for(by),
        "invitations": [(row, OFFERS[row.role]) for row in invitations.list_received(by)[: verbs.MOST_NEEDS]],
        "tiles": _tiles(adapters[: verbs.MOST_ADAPTERS], listed),
        "has_more": len(adapters) > verbs.MOST_ADAPTERS,
        "organizations": verbs.organizations(by),
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
    verdicts = verbs.open_verdicts(by)
    positions = verbs.positions(verdicts)
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


PAGES = Pages(
    routes=[at("dashboard/running", running, "running")],
    panels=(Panel("own-home", "dashboard/home.html", _home),),
)
