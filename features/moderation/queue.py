"""The moderators' queue: cases from people and from the hub's findings in one list, with the facts to sort them by.

One of the facts is the reputation of reporters: how many of their decided reports were upheld, and whom an
administrator trusts. A moderator keeps filters of the queue as views under a name. A dossier is everything that they
see beside one case: reports, files, findings of checks, earlier decisions, copies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from dovetail.adapters.results.report import CheckResult
from features.moderation import cases, strikes, targets
from features.moderation.models import CaseNote, QueueView
from registry import models
from registry.bytes.blobs import Keys, store
from registry.kernel import audit, policy
from registry.kernel.errors import ItemNotFound, StoreUnavailable, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.kernel.texts.cursors import Cursor, Page
from registry.moderation import overdue
from registry.repos import download_counts, pull
from registry.repos.manifest import Entry

STATES = ("waiting", "late", "mine", "open", "claimed", "closed", "all")
SOURCES = ("people", "hub")
MAX_NAME = 60
MAX_QUERY = 400
MAX_VIEWS = 20  # of one moderator
FILTERS = ("state", "severity", "source", "reason", "target", "sort", "q")
MAX_ROWS = 20  # of each list
EXCERPT = 800  # characters of the card
README = "README.md"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of reports that were right: upheld of those that were decided."""

    upheld: int = 0
    decided: int = 0

    @property
    def share(self) -> float | None:
        """The upheld part of the decided ones, from 0 to 1; None while nothing was decided."""
        return self.upheld / self.decided if self.decided else None

    def __add__(self, other: "Accuracy") -> "Accuracy":
        return Accuracy(self.upheld + other.upheld, self.decided + other.decided)


def accuracies(people: Iterable[int]) -> dict[int, Accuracy]:
    """Return the accuracy of each of these people (row ids) who reported something before; one query."""
    rows = (
        models.AbuseReport.objects.filter(reporter__in=set(people), upheld__isnull=False).order_by().values("reporter")
    )
    counted = rows.annotate(decided=Count("pk"), right=Count("pk", filter=Q(upheld=True)))
    return {row["reporter"]: Accuracy(row["right"], row["decided"]) for row in counted}


def reporters(by: Caller) -> QuerySet[models.User]:
    """Return everybody who reported something, with counts: `filed`, `decided`, `right`; newest reports first."""
    policy.require_moderator(by)
    return (
        models.User.objects.filter(abuse_reports__isnull=False)
        .annotate(
            filed=Count("abuse_reports"),
            decided=Count("abuse_reports", filter=Q(abuse_reports__upheld__isnull=False)),
            right=Count("abuse_reports", filter=Q(abuse_reports__upheld=True)),
            last=Max("abuse_reports__at"),
        )
        .order_by("-last", "pk")
    )


def set_trusted(user: models.User, by: Caller, is_trusted: bool) -> bool:
    """Trust a reporter, or stop; return whether anything changed. Raises what policy.require_admin raises."""
    actor = policy.require_admin(by)
    if not models.User.objects.filter(pk=user.pk, is_trusted_reporter=not is_trusted).update(
        is_trusted_reporter=is_trusted
    ):
        return False
    audit.record(actor, "person:trust", user.username, before=not is_trusted, after=is_trusted)
    user.is_trusted_reporter = is_trusted
    return True


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

    case: models.Case
    people: int  # how many reported it
    findings: tuple[str, ...]  # the hub's own: check ids
    downloads: int  # in the last 24 hours
    owner_since: datetime | None
    accuracy: Accuracy  # of all its reporters together
    is_trusted: bool  # whether one of them is trusted
    is_late: bool  # whether it waits longer than this hub wants
    prior: int  # earlier decisions about the same repository, person or organisation


def matching(by: Caller, query: Query) -> QuerySet[models.Case]:
    """Return the cases of a filter: the gravest first, or the oldest (`sort`); closed ones newest first."""
    actor = policy.require_moderator(by)
    rows = cases.with_target()
    match query.state:
        case "mine":
            rows = rows.filter(claimed_by=actor).exclude(state=models.Case.State.CLOSED)
        case "late":
            rows = rows.filter(overdue.is_overdue())
        case "open" | "claimed" | "closed":
            rows = rows.filter(state=query.state)
        case "all":
            pass
        case _:
            rows = rows.exclude(state=models.Case.State.CLOSED)
    exact = {"reason": query.reason, "severity": query.severity, "target": query.target}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if query.q:
        rows = rows.filter(label__icontains=query.q)
    if query.source in SOURCES:
        reports = models.AbuseReport.objects.filter(case=OuterRef("pk"), by_hub=query.source == "hub")
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


def with_facts(page: Sequence[models.Case]) -> list[Row]:
    """Return cases with the facts of their columns, in four queries however many cases there are."""
    reports = list(models.AbuseReport.objects.filter(case__in=page).select_related("reporter"))
    by_case: dict[int, list[models.AbuseReport]] = {case.pk: [] for case in page}
    for report in reports:
        by_case[report.case_id].append(report)
    known = accuracies(report.reporter_id for report in reports if report.reporter_id)
    downloads = download_counts.of_last_day([case.repository_id for case in page if case.repository_id])
    prior = _prior(page)
    return [_row(case, by_case[case.pk], known, downloads, prior) for case in page]


def _row(
    case: models.Case,
    reports: list[models.AbuseReport],
    known: dict[int, Accuracy],
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
        accuracy=sum((known.get(person.pk, Accuracy()) for person in people), Accuracy()),
        is_trusted=any(person.is_trusted_reporter for person in people),
        is_late=case.state != models.Case.State.CLOSED and overdue.is_older(case),
        prior=prior.get(case.namespace_id or 0, 0),
    )


def _prior(page: Sequence[models.Case]) -> dict[int, int]:
    """Return by namespace how many cases were upheld against it, and how many holds had no case; one query."""
    namespaces = {case.namespace_id for case in page if case.namespace_id}
    upheld = models.Case.objects.filter(namespace__in=namespaces, state=models.Case.State.CLOSED).exclude(
        outcome=models.Case.Outcome.NO_ACTION
    )
    holds = models.ModerationDecision.objects.filter(
        ~Q(action=models.ModerationDecision.Action.RELEASE), repository__namespace__in=namespaces, case__isnull=True
    )
    counted = (
        upheld.order_by()
        .values_list("namespace")
        .annotate(n=Count("pk"))
        .union(holds.order_by().values_list("repository__namespace").annotate(n=Count("pk")), all=True)
    )
    prior: dict[int, int] = {}
    for namespace, count in counted:
        prior[namespace] = prior.get(namespace, 0) + count
    return prior


def list_views(by: Caller) -> QuerySet[QueueView]:
    """Return the saved views of a moderator, by name."""
    return policy.require_moderator(by).queue_views.all()


def save_view(by: Caller, name: str, query: str) -> QueueView:
    """Keep the filters of a query string under a name; the same name again changes it. Raises ValueInvalid."""
    actor = policy.require_moderator(by)
    name = names.require_text(" ".join(name.split()), "name", MAX_NAME)
    query = names.check_text(query, "filters", 10 * MAX_QUERY)
    kept = urlencode([(key, value) for key, value in parse_qsl(query) if key in FILTERS])
    if len(kept) > MAX_QUERY:
        raise ValueInvalid("The filters are too long to save.", fix="Use a shorter text in the field Name.")
    if actor.queue_views.exclude(name=name).count() >= MAX_VIEWS:
        raise ValueInvalid(f"You already have {MAX_VIEWS} saved views.", fix="Delete one first.")
    view, _ = QueueView.objects.update_or_create(user=actor, name=name, defaults={"query": kept})
    return view


def remove_view(by: Caller, number: int) -> None:
    """Forget one of the moderator's own views. Raises ItemNotFound."""
    if not list_views(by).filter(pk=number).delete()[0]:
        raise ItemNotFound(f"You have no saved view {number}.")


@dataclass(frozen=True)
class Dossier:
    """The facts of one case; lists hold at most MAX_ROWS rows."""

    case: models.Case
    reports: list[tuple[models.AbuseReport, Accuracy]]
    notes: list[CaseNote]
    revision: models.Revision | None  # the version that the case is about
    files: list[Entry] = field(default_factory=list)
    file_count: int = 0
    excerpt: str = ""
    checks: list[CheckResult] = field(default_factory=list)  # that failed or warned
    decisions: list[models.ModerationDecision] = field(default_factory=list)
    earlier: list[models.Case] = field(default_factory=list)  # closed cases of the same owner
    copies: list[models.Repository] = field(default_factory=list)  # repositories with the same large files
    person: models.User | None = None  # who answers for it
    strikes: Sequence[models.Strike] = ()
    points: int = 0

    @property
    def is_reversed(self) -> bool:
        """True if the hold of this case was released later."""
        holds = [decision for decision in self.decisions if decision.case_id == self.case.pk]
        releases = [
            decision for decision in self.decisions if decision.action == models.ModerationDecision.Action.RELEASE
        ]
        return any(one.revision_id == hold.revision_id and one.pk > hold.pk for hold in holds for one in releases)


def dossier_of(case: models.Case) -> Dossier:
    """Return what there is to know about a case, in a bounded number of queries."""
    revision = cases.version(case)
    entries = pull.entries(revision) if revision and not revision.is_expired else {}
    person = targets.responsible(case)
    notes = case.notes.select_related("author").order_by("-pk")[:MAX_ROWS]
    return Dossier(
        case=case,
        reports=_reports(case),
        notes=list(reversed(notes)),
        revision=revision,
        files=list(entries.values())[:MAX_ROWS],
        file_count=len(entries),
        excerpt=_excerpt(entries.get(README)),
        checks=_checks(revision),
        decisions=_decisions(case.repository),
        earlier=_earlier(case, case.namespace),
        copies=_copies(case.repository, entries.values()),
        person=person,
        strikes=list(strikes.active(person)[:MAX_ROWS]) if person else (),
        points=strikes.points(person) if person else 0,
    )


def _reports(case: models.Case) -> list[tuple[models.AbuseReport, Accuracy]]:
    rows = list(case.reports.select_related("reporter")[:MAX_ROWS])
    known = accuracies(row.reporter_id for row in rows if row.reporter_id)
    return [(row, known.get(row.reporter_id or 0, Accuracy())) for row in rows]


def _excerpt(readme: Entry | None) -> str:
    """Return the beginning of the card; "" where there is none, or the store does not answer."""
    if readme is None:
        return ""
    try:
        with store().open(Keys.blob(readme.sha256)) as reader:
            return reader.read(4 * EXCERPT).decode("utf-8", "replace")[:EXCERPT]
    except (StoreUnavailable, FileNotFoundError):
        return ""


def _checks(revision: models.Revision | None) -> list[CheckResult]:
    verdict = models.Verdict.objects.filter(revision=revision).order_by("-number").first() if revision else None
    if verdict is None:
        return []
    return [check for check in verdict.report.checks if check.outcome in ("failed", "warned")][:MAX_ROWS]


def _decisions(repository: models.Repository | None) -> list[models.ModerationDecision]:
    if repository is None:
        return []
    return list(repository.decisions.select_related("by", "revision").order_by("-pk")[:MAX_ROWS])


def _earlier(case: models.Case, namespace: models.Namespace | None) -> list[models.Case]:
    if namespace is None:
        return []
    rows = models.Case.objects.filter(namespace=namespace, state=models.Case.State.CLOSED).exclude(pk=case.pk)
    return list(rows.select_related("closed_by").order_by("-closed_at")[:MAX_ROWS])


def _copies(repository: models.Repository | None, entries: Iterable[Entry]) -> list[models.Repository]:
    """Return other repositories that hold the same large files."""
    digests = [entry.sha256 for entry in entries if entry.is_lfs][:100]
    if repository is None or not digests:
        return []
    holders = models.RevisionFile.objects.filter(blob__in=digests).exclude(revision__repository=repository)
    rows = models.Repository.objects.filter(pk__in=holders.values("revision__repository")).select_related("namespace")
    return list(rows.order_by("-pk")[:MAX_ROWS])
