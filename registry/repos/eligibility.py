"""Decides whether `verified` may name a version: an engine ran it, and it adds something where it was measured.

And finds the good revisions of a repository: whole, run by an engine, passed, and not held back or yanked.

The part that follows from a report alone is kept in `Verdict.eligibility`, so that nobody parses reports for it. The
part that follows from the other versions is kept in `Regression`, with the owner's override of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext_noop as _

from dovetail.adapters.results.report import Evaluation, Report
from registry.models import Regression, Revision, Verdict
from registry.models.verdicts import stored_report

Kind = Verdict.Eligibility
NEUTRAL = "neutral"  # plain sentences measure no task
BEST = {"perplexity": 1.0, "loss": 0.0}  # the best value of a metric that has another one than 1
ELIGIBLE = frozenset({Kind.MAY.value, Kind.FITS.value})
REGRESSION, NOT_RUN = "regression", Kind.NOT_RUN.value
UNSERVED = frozenset({"held", "incomplete"})  # causes for which its commit id is refused, too
OVERRIDABLE = frozenset({Kind.ADDS_NOTHING.value, Kind.BELOW_BASE.value, REGRESSION})
# Why `verified` passes a version by, as REST and pages say it, with the way out.
REASONS: dict[str, tuple[str, str]] = {
    NOT_RUN: (
        _("No engine here has run it: its files passed, but its outputs were not tested."),
        _("Convert it to a format that an engine runs, or ask for the weights of its base; then validate it again."),
    ),
    Kind.ADDS_NOTHING.value: (
        _("On its rows it is no better than the frozen base, a guess or its own head alone: the adapter adds nothing."),
        _("Train it longer or with a higher rank, and measure it on rows that tell the difference."),
    ),
    Kind.BELOW_BASE.value: (
        _("On its rows it scores worse than the frozen base or a guess."),
        _("Check the training and the order of the labels, or measure it on more rows."),
    ),
    REGRESSION: (
        _("It scores worse than the verified version before it, by more than chance explains."),
        _("Push a version that scores as well."),
    ),
    "held": (_("It is held back."), _("The owners see the reason and can appeal.")),
    "yanked": (_("Yanked by its owners."), _("Use another version; its owners can undo the yank.")),
    "incomplete": (
        _("Some of its files are missing: it is part of a push, the push was interrupted, or they have expired."),
        _("Push it again, whole."),
    ),
}


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether `verified` may name a version. `because` is a key of REASONS, None also if the verdict is no."""

    may: bool
    because: str | None = None
    is_run: bool = True  # False for one that is let in by its shapes alone

    @property
    def reason(self) -> str:
        return REASONS[self.because][0] if self.because else ""

    @property
    def fix(self) -> str:
        return REASONS[self.because][1] if self.because else ""

    @property
    def is_overridable(self) -> bool:
        return self.because in OVERRIDABLE

    @property
    def is_passed_by(self) -> bool:
        """True for a version that passed, and is not named for what was measured or since nothing was."""
        return self.because == NOT_RUN or self.is_overridable


# --- by its report alone ---------------------------------------------------------------------------------------------
def judge(report: Report) -> str:
    """Return what `Verdict.eligibility` holds of a finished report."""
    if not report.is_passed:
        return Kind.FAILED
    if report.depth == "fit":
        return Kind.FITS if settings.VERIFIED_DEPTH == "fit" else Kind.NOT_RUN
    if report.depth not in ("run", "evaluated"):
        return Kind.STATIC
    found = {_shortfall(evaluation) for evaluation in deciding_by_folder(report).values()}
    return next((kind for kind in (Kind.BELOW_BASE, Kind.ADDS_NOTHING) if kind in found), Kind.MAY)


def judged(rows: QuerySet[Verdict]) -> dict[int, str]:
    """Return what `judge` says of finished verdicts, by their row ids; of each, only what decides is read."""
    fields = ("depth", "evals", "contents")
    kinds = {}
    for pk, state, *values in rows.values_list("pk", "state", *(f"result__{name}" for name in fields)):
        report = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
        kinds[pk] = judge(stored_report(report, state))
    return kinds


def write(kinds: Mapping[int, str]) -> None:
    """Write what `judged` returned."""
    for kind in set(kinds.values()):
        keys = [pk for pk, value in kinds.items() if value == kind]
        Verdict.objects.filter(pk__in=keys).update(eligibility=kind)


def _shortfall(evaluation: Evaluation) -> str:
    """Return what an adapter lacks in its deciding metric: equal counts as no better, unless nothing is better."""
    adapter, base, head = _upwards(evaluation.adapter, evaluation), evaluation.base, evaluation.head_alone
    best = _upwards(BEST.get(evaluation.metric, 1.0 if evaluation.better == "higher" else 0.0), evaluation)
    if base is not None and adapter < _upwards(base, evaluation):
        return Kind.BELOW_BASE
    others = [_upwards(other, evaluation) for other in (base, head) if other is not None]
    is_better = all(adapter > other or adapter == other == best for other in others)
    return Kind.MAY if is_better else Kind.ADDS_NOTHING


def _upwards(value: float | None, evaluation: Evaluation) -> float:
    """Return a value of a metric so that more is better."""
    return (value or 0.0) if evaluation.better == "higher" else -(value or 0.0)


def deciding_by_folder(report: Report) -> dict[str, Evaluation]:
    """Return the metric that decides for each adapter that was measured on rows of its own, "" where there is one."""
    folders = adapter_folders(report)
    deciding: dict[str, Evaluation] = {}
    for one in report.evals:
        if one.base is not None and one.adapter is not None and not is_neutral(one):
            deciding.setdefault(folder_of(one.name, folders), one)
    return deciding


def is_neutral(evaluation: Evaluation) -> bool:
    """Return whether it was measured on built-in sentences, which measure no task."""
    return evaluation.name.rpartition("/")[2] == NEUTRAL


def adapter_folders(report: Report) -> list[str]:
    """Return the folders of the adapters, the longest first, if several were measured."""
    proven = [content.path for content in report.contents if content.proven]
    places = {*proven, *(path.rpartition("/")[0] for path in proven)} - {""}
    return sorted(places, key=len, reverse=True) if len(proven) > 1 else []


def folder_of(name: str, folders: Sequence[str]) -> str:
    """Return the folder of the adapter that an evaluation of this name is about."""
    return next((folder for folder in folders if name.startswith(f"{folder}/")), name if folders else "")


# --- of a revision ---------------------------------------------------------------------------------------------------
def because_without_override(verdict: Verdict, row: Regression | None) -> str | None:
    """Return why a finished verdict and a comparison keep a revision from `verified`; None for nothing, or a no."""
    kind = verdict.eligibility if verdict.eligibility != Kind.UNJUDGED else judge(verdict.report)
    if kind == Kind.FAILED:
        return None
    return _BECAUSE.get(kind) or (REGRESSION if row and row.outcome == Regression.Outcome.WORSE else None)


def of_verdict(verdict: Verdict, revision: Revision, row: Regression | None) -> Eligibility:
    """Return whether `verified` may name a revision with this newest finished verdict and this comparison."""
    because = because_without_override(verdict, row)
    if because in OVERRIDABLE and row and row.is_overridden:
        because = None
    because = _withdrawn(revision) or because
    return Eligibility(
        because is None and verdict.state == Verdict.State.PASSED, because, verdict.eligibility != Kind.FITS
    )


def last_decided(revision: Revision) -> Verdict | None:
    """Return the newest verdict that passed or failed: where a renewal errored, the one before it stays in force."""
    return revision.verdicts.filter(state__in=Verdict.DECIDED).order_by("-number").first()


def of_revision(revision: Revision) -> Eligibility:
    """Return whether `verified` may name a revision; at most two queries."""
    return of_decided(last_decided(revision), revision)


def of_decided(verdict: Verdict | None, revision: Revision) -> Eligibility:
    """Return whether `verified` may name a revision whose verdict in force this is; at most one query."""
    if verdict is None or verdict.state not in Verdict.DECIDED:
        return Eligibility(False)
    return of_verdict(verdict, revision, Regression.objects.filter(revision=revision).first())


_BECAUSE = {
    Kind.STATIC.value: NOT_RUN,
    **{kind.value: kind.value for kind in (Kind.NOT_RUN, Kind.ADDS_NOTHING, Kind.BELOW_BASE)},
}


def _withdrawn(revision: Revision) -> str | None:
    if revision.is_quarantined:
        return "held"
    if revision.is_yanked:
        return "yanked"
    return "incomplete" if revision.is_part or revision.is_expired else None


@dataclass(frozen=True, slots=True)
class GoodRevisions:
    """All revisions of a repository by row id: the parent of each, those that passed, those held back or yanked.

    The parent of a commit that squashed a history is the last commit of that: what was verified before it still counts.
    `proven` has the verdict of each revision that passed; an alias may fall back to any of them. Good, but never the
    newest good one, are `ineligible` ones (what `Verdict.eligibility` holds of each), unless an owner overrides that;
    `passed_by` by what regressions.py decides of both; and `expired` ones, whose files are gone.
    """

    parents: dict[int, int | None]
    proven: dict[int, int]
    withdrawn: frozenset[int]
    ineligible: Mapping[int, str] = field(default_factory=dict)
    passed_by: frozenset[int] = frozenset()
    expired: frozenset[int] = frozenset()

    def is_good(self, revision: int) -> bool:
        return revision in self.proven and revision not in self.withdrawn

    def is_served(self, revision: int) -> bool:
        """Return whether it is good and still has its files."""
        return self.is_good(revision) and revision not in self.expired

    def newest(self, at: int | None) -> int | None:
        """Return the newest good revision in the history of `at`, itself included, not passed by and not expired."""
        while at is not None and (not self.is_served(at) or at in self.passed_by):
            at = self.parents[at]
        return at

    def history(self, at: int | None) -> list[int]:
        """Return the good revisions in the history of `at`, the oldest first."""
        newest_first = []
        while at is not None:
            if self.is_good(at):
                newest_first.append(at)
            at = self.parents[at]
        return newest_first[::-1]


def read_good_revisions(repository: int) -> GoodRevisions:
    """Read the state of every revision of a repository, in two queries. The last decided verdict of each counts.

    Those of earlier releases, which no sweep has judged yet, are judged here; one query more.
    """
    finished = Verdict.objects.filter(revision__repository=repository, state__in=Verdict.DECIDED).order_by("number")
    last = {revision: (pk, kind) for revision, pk, kind in finished.values_list("revision", "pk", "eligibility")}
    if unjudged := [pk for pk, kind in last.values() if kind == Kind.UNJUDGED]:
        kinds = judged(Verdict.objects.filter(pk__in=unjudged))
        last = {revision: (pk, kinds.get(pk, kind)) for revision, (pk, kind) in last.items()}
    rows = Revision.objects.filter(repository=repository).values_list(
        "pk", "parent", "replaces", "is_part", "expired_at", "quarantined_at", "yanked_at"
    )
    parts = {pk for pk, _, _, is_part, *_ in rows if is_part}  # of pushes in several commits: what passed is a half
    proven = {
        revision: found for revision, found in last.items() if found[1] not in _UNPROVEN and revision not in parts
    }
    return GoodRevisions(
        parents={pk: parent or replaced for pk, parent, replaced, *_ in rows},
        proven={revision: pk for revision, (pk, _) in proven.items()},
        withdrawn=frozenset(pk for pk, _, _, _, _, *times in rows if any(times)),
        ineligible={revision: kind for revision, (_, kind) in proven.items() if kind not in ELIGIBLE},
        expired=frozenset(pk for pk, _, _, _, expired_at, *_ in rows if expired_at),
    )


_UNPROVEN = frozenset({Kind.FAILED.value, Kind.STATIC.value})


def is_proven(revision: Revision) -> bool:
    """Return whether it works as far as its own last decided verdict says: an alias takes it, also if it is older.

    It has passed after an engine ran it and adds something, or an owner let it in all the same.
    """
    found = of_revision(revision)
    return found.may or found.because == REGRESSION
