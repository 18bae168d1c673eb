"""The version of an adapter that measured best on the rows of `verified`: that one, or one before it. Only reads."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import Exists, F, OuterRef, Q, Sum, Window
from django.db.models.functions import DenseRank

from dovetail.adapters.results.report import Evaluation, Report
from registry.models import Ref, Repository, Revision, Verdict
from registry.proof.reports import deciding
from registry.proof.verified.verified import served_by
from registry.repos import eligibility
from registry.repos.eligibility import NEUTRAL
from registry.repos.refs import VERIFIED

NEWEST = 20  # versions of an adapter with a verdict that are looked at, beside `verified`
OWN_ROWS = "smoke"  # the name of rows from a repository's own file, in a verdict
DIGITS = 6  # of numbers that make places
_READ = ("evals", "path", "kind", "serving")  # of a report


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an adapter that is `verified`, or may be, with the metric that decides."""

    revision: Revision
    evaluation: Evaluation
    base: str
    kind: str
    folder: str  # of the adapter that was measured
    engines: Sequence[str]  # that serve it
    is_verified: bool
    size: int = 0  # of its files in bytes

    @property
    def compared_as(self) -> tuple[object, ...]:
        """What two versions have in common if one's number may be set against the other's."""
        measured = self.evaluation
        return measured.rows_sha256 or self.revision.repository_id, measured.metric, measured.task

    @property
    def score(self) -> float:
        """The number that was measured; less is better, whatever the metric."""
        score = round(self.evaluation.adapter or 0.0, DIGITS)
        return score if self.evaluation.better == "lower" else -score


def best_versions(repositories: Sequence[Repository]) -> dict[int, Version]:
    """Return the best version of each repository that has a measured `verified` one, by row id; three queries."""
    verified: dict[int, Version] = {}
    others: dict[int, list[Version]] = defaultdict(list)
    for version in _measured(repositories):
        if version.is_verified:
            verified[version.revision.repository_id] = version
        else:
            others[version.revision.repository_id].append(version)
    better = {pk: [one for one in others[pk] if _is_better(one, than)] for pk, than in verified.items()}
    before = _versions_before([verified[pk].revision for pk, versions in better.items() if versions])
    best = {
        pk: min([than, *(one for one in better[pk] if one.revision.pk in before)], key=lambda one: one.score)
        for pk, than in verified.items()
    }
    rows = Revision.objects.filter(pk__in=[version.revision.pk for version in best.values()])
    sizes = dict(rows.annotate(bytes=Sum("files__size")).values_list("pk", "bytes"))
    return {pk: replace(version, size=sizes[version.revision.pk] or 0) for pk, version in best.items()}


def split_name(name: str) -> tuple[str, str]:
    """Split the name of an evaluation: a folder only where several adapters were measured; a set is namespace/name."""
    parts = name.split("/")
    count = 1 if parts[-1] in (OWN_ROWS, NEUTRAL) else 2
    return "/".join(parts[:-count]), "/".join(parts[-count:])


def _measured(repositories: Sequence[Repository]) -> Iterable[Version]:
    decided = Verdict.objects.filter(revision__repository__in=repositories, state__in=Verdict.DECIDED)
    age = Window(DenseRank(), partition_by="revision__repository", order_by="-revision")
    newest = decided.annotate(age=age).filter(age__lte=NEWEST).values("pk")
    verified = Ref.objects.filter(name=VERIFIED, repository__in=repositories)
    rows = (
        decided.filter(Q(pk__in=newest) | Q(revision__in=verified.values("revision")))
        .annotate(is_verified=Exists(verified.filter(revision=OuterRef("revision"))))
        .annotate(**{name: F(f"result__{name}") for name in _READ})
        .select_related("revision__regression")
        .defer("result")
        .order_by("number")
    )
    for verdict in {verdict.revision_id: verdict for verdict in rows}.values():  # the last one of each revision
        read = {name: value for name in _READ if (value := getattr(verdict, name))}
        report = Report.of_result(read, verdict.state)
        measured = deciding(report)
        if measured and (verdict.is_verified or _may_be_verified(verdict)):
            folder = split_name(measured.name)[0] or report.path
            engines = served_by(report).split()
            yield Version(verdict.revision, measured, verdict.base, report.kind, folder, engines, verdict.is_verified)


def _may_be_verified(verdict: Verdict) -> bool:
    if verdict.eligibility == Verdict.Eligibility.UNJUDGED:
        return False  # of an earlier release: the sweep will judge it
    return eligibility.of_verdict(verdict, verdict.revision, getattr(verdict.revision, "regression", None)).may


def _is_better(one: Version, than: Version) -> bool:
    is_comparable = (one.compared_as, one.base) == (than.compared_as, than.base) and than.evaluation.rows_sha256
    return bool(is_comparable) and one.score < than.score


def _versions_before(revisions: Sequence[Revision]) -> set[int]:
    """Return the row ids of all revisions before these, also in histories that were squashed; one query."""
    if not revisions:
        return set()
    rows = Revision.objects.filter(repository__in=[revision.repository_id for revision in revisions])
    parents = {pk: parent or replaced for pk, parent, replaced in rows.values_list("pk", "parent", "replaces")}
    before: set[int] = set()
    for revision in revisions:
        at = parents[revision.pk]
        while at is not None:
            before.add(at)
            at = parents[at]
    return before
