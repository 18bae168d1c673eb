"""Facts read out of reports: provenance, scores, composition, and the part that a caller may see."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dovetail.adapters.results.report import BasePin, CheckResult, Evaluation, Provenance, Report
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Base, Repository, Revision, Verdict
from registry.repos import pull
from registry.repos.manifest import Entry

WITHHELD = "It found something in the files, which those who may read them see."
NOT_MEASURED = Repository.NOT_MEASURED
_WORST = -0.999


def provenance_digest(provenance: Provenance | None) -> str:
    """Return the digest that a verdict's row keeps, "" for one that does not say what it was proven with."""
    if provenance is None:
        return ""
    document = json.dumps(provenance.as_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def refusal(report: Report) -> tuple[str, str]:
    """Return the id and the message of the check that says no; empty where none does."""
    check = report.refusal
    return (check.id, check.message) if check else ("", "")


def shown_to(report: Report, by: Caller, repository: Repository) -> Report:
    """Return a report without samples and without the places of private data for a caller outside the gate."""
    if policy.passes_gate(by, repository):
        return report
    # A program quotes a row, and so do the names of labels and what it printed.
    return replace(report, samples=(), usage=None, programs=None, checks=tuple(map(_without_places, report.checks)))


def _without_places(check: CheckResult) -> CheckResult:
    if not check.id.startswith("privacy.") or check.outcome == "passed":
        return check
    return replace(check, message=WITHHELD, where={})


def score_of(report: Report) -> float:
    """Return the gain of the deciding metric over what the adapter starts from, and NOT_MEASURED without one.

    A metric where higher is better gives the difference (accuracy 0.5 to 0.9 is 0.4), one where lower is better the
    share of the start's value that is gone (perplexity 20 to 15 is 0.25).
    """
    metric = deciding(report)
    return NOT_MEASURED if metric is None else gain_of(metric)


def gain_of(metric: Evaluation) -> float:
    """Return the gain of a metric that has a number of the adapter, as `score_of` says it."""
    start = start_of(metric)
    gain = (metric.adapter or 0.0) - start
    if metric.better == "lower":
        gain = -gain / start if start else 0.0
    return max(_WORST, gain)


def start_of(metric: Evaluation) -> float:
    """Return the number without the adapter: of its own trained head on the frozen base, else of the frozen base."""
    return (metric.base or 0.0) if metric.head_alone is None else metric.head_alone


def deciding(report: Report) -> Evaluation | None:
    """Return the metric that decides: the first one of both the adapter and the frozen base."""
    return next((one for one in report.evals if one.base is not None and one.adapter is not None), None)


@dataclass(frozen=True)
class PinnedFile:
    """A file of a base; its size is None where only workers hold it."""

    path: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Composition:
    """The files of a revision, the newest finished verdict with its report, and the files of the base it names."""

    entries: dict[str, Entry]
    verdict: Verdict | None
    report: Report | None
    base_files: tuple[PinnedFile, ...]

    @property
    def merge_order(self) -> Sequence[str]:
        """The folders of its adapters, in the order in which they are put on the base; "" is the top."""
        if self.report is None:
            return ()
        return [content.path for content in self.report.contents if content.proven] or [self.report.path]


def composition_of(revision: Revision) -> Composition:
    """Return the composition of a revision; four queries."""
    finished = revision.verdicts.filter(finished_at__isnull=False).order_by(*pull.LAST_SAID).first()
    report = finished.report if finished else None
    pin = report.base if report else None
    return Composition(pull.served_entries(revision), finished, report, _base_files(pin) if pin else ())


def _base_files(pin: BasePin) -> tuple[PinnedFile, ...]:
    """Return the files of exactly the base that was proven with; none if the hub has another version of it now."""
    base = Base.objects.filter(id=pin.id, sha256=pin.sha256 or "").first()
    if base is None:
        return ()
    sizes = dict(base.served_files.values_list("path", "size"))
    return tuple(PinnedFile(path, sha256, sizes.get(path)) for path, sha256 in sorted(base.files.items()))
