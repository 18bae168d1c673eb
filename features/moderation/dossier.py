"""Everything that a moderator sees beside a case: reports, files, findings of checks, earlier decisions, copies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dovetail.adapters.results.report import CheckResult
from features.moderation import cases, queue, strikes, targets
from features.moderation.models import CaseNote
from features.moderation.queue import Accuracy
from registry import models
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_ROWS = 20  # of each list
EXCERPT = 800  # characters of the card
README = "README.md"


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


def of_case(case: models.Case) -> Dossier:
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
    known = queue.accuracies(row.reporter_id for row in rows if row.reporter_id)
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
