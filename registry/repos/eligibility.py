"""Decides whether `verified` may name a version: an engine ran it, and it adds something where it was measured.

The part that follows from a report alone is kept in `Verdict.eligibility`, so that nobody parses reports for it. What
follows from the other versions is kept in `Regression`, with the owner's override of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
