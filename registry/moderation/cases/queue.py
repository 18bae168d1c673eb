"""The moderators' queue: cases from people and from the hub's findings in one list, with the facts to sort them by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.kernel.texts.cursors import Cursor, Page
from registry.models import AbuseReport, Case, ModerationDecision
from registry.moderation.cases import cases, overdue, reputation
from registry.moderation.cases.reputation import Accuracy
from registry.repos import download_counts

STATES = ("waiting", "late", "mine", "open", "claimed", "closed", "all")
SOURCES = ("people", "hub")


@dataclass(frozen=True)
class Query:
    """The filters of the queue, as the address has them; empty ones filter nothing."""

    state: str = "waiting"
    reason: str = ""
    severity: int = 0
    target: str = ""
    source: str = ""
    sort: str = ""
    q: str = ""


@dataclass(frozen=True)
class Row:
    """One case with the facts of its columns."""

    case: Case
    people: int  # how many reported it
    findings: tuple[str, ...]  # the hub's own: check ids
    downloads: int  # in the last 24 hours
    owner_since: datetime | None
    accuracy: Accuracy  # of all its reporters together
    is_trusted: bool  # whether one of them is trusted
    is_late: bool  # whether it waits longer than this hub wants
    prior: int  # earlier decisions about the same repository, person or organisation


def matching(by: Caller, query: Query) -> QuerySet[Case]:
    """Return the cases of a filter: the gravest first, or the oldest (`sort`); closed ones newest first."""
    actor = policy.require_moderator(by)
    rows = cases.with_target()
    match query.state:
        case "mine":
            rows = rows.filter(claimed_by=actor).exclude(state=Case.State.CLOSED)
        case "late":
            rows = rows.filter(overdue.is_overdue())
        case "open" | "claimed" | "closed":
            rows = rows.filter(state=query.state)
        case "all":
            pass
        case _:
            rows = rows.exclude(state=Case.State.CLOSED)
    exact = {"reason": query.reason, "severity": query.severity, "target": query.target}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if query.q:
        rows = rows.filter(label__icontains=query.q)
    if query.source in SOURCES:
        reports = AbuseReport.objects.filter(case=OuterRef("pk"), by_hub=query.source == "hub")
        rows = rows.filter(Exists(reports))
    if query.state == "closed":
        return rows.order_by("-closed_at", "-pk")
    return rows.order_by("pk") if query.sort == "oldest" else rows.order_by("-severity", "pk")


def page(by: Caller, query: Query, cursor: str, limit: int) -> Page[Row]:
    """Return a page of the cases of a filter; one that is closed meanwhile shifts no later page.

    Raises ValueInvalid for a cursor that this hub did not sign for this order.
    """
    rows = matching(by, query)
    order, column = ("queue.closed", "closed_at") if query.state == "closed" else ("queue", "severity")
    if cursor:
        last = Cursor.verify(cursor, order)
        tied = {column: last.value, f"pk__{'lt' if column == 'closed_at' else 'gt'}": last.row}
        rows = rows.filter(Q(**tied) | Q(**{f"{column}__lt": last.value}))
    items = list(rows[: limit + 1])
    beyond = Cursor(getattr(items[limit - 1], column), items[limit - 1].pk).sign(order) if len(items) > limit else ""
    return Page(with_facts(items[:limit]), beyond)


def with_facts(page: Sequence[Case]) -> list[Row]:
    """Return cases with the facts of their columns, in four queries however many cases there are."""
    reports = list(AbuseReport.objects.filter(case__in=page).select_related("reporter"))
    by_case: dict[int, list[AbuseReport]] = {case.pk: [] for case in page}
    for report in reports:
        by_case[report.case_id].append(report)
    accuracies = reputation.accuracies(report.reporter_id for report in reports if report.reporter_id)
    downloads = download_counts.of_last_day([case.repository_id for case in page if case.repository_id])
    prior = _prior(page)
    return [_row(case, by_case[case.pk], accuracies, downloads, prior) for case in page]


def _row(
    case: Case,
    reports: list[AbuseReport],
    accuracies: dict[int, Accuracy],
    downloads: dict[int, int],
    prior: dict[int, int],
) -> Row:
    people = [report.reporter for report in reports if report.reporter is not None]
    return Row(
        case=case,
        people=sum(not report.by_hub for report in reports),
        findings=tuple(report.check_id for report in reports if report.by_hub),
        downloads=downloads.get(case.repository_id or 0, 0),
        owner_since=case.namespace.created_at if case.namespace else None,
        accuracy=sum((accuracies.get(person.pk, Accuracy()) for person in people), Accuracy()),
        is_trusted=any(person.is_trusted_reporter for person in people),
        is_late=case.state != Case.State.CLOSED and overdue.is_older(case),
        prior=prior.get(case.namespace_id or 0, 0),
    )


def _prior(page: Sequence[Case]) -> dict[int, int]:
    """Return by namespace how many cases were upheld against it, and how many holds had no case; one query."""
    namespaces = {case.namespace_id for case in page if case.namespace_id}
    upheld = Case.objects.filter(namespace__in=namespaces, state=Case.State.CLOSED).exclude(
        outcome=Case.Outcome.NO_ACTION
    )
    holds = ModerationDecision.objects.filter(
        ~Q(action=ModerationDecision.Action.RELEASE), repository__namespace__in=namespaces, case__isnull=True
    )
    counted = upheld.order_by().values_list("namespace").annotate(n=Count("pk")).union(
        holds.order_by().values_list("repository__namespace").annotate(n=Count("pk")), all=True
    )  # fmt: skip
    prior: dict[int, int] = {}
    for namespace, count in counted:
        prior[namespace] = prior.get(namespace, 0) + count
    return prior
