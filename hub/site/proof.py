"""A verdict as pages show it: the document, each measure beside what it is compared with, and what failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.site.compatibility import Fits, Served, fits, served
from hub.site.joint import Tooth, areas
from registry.models import Verdict
from registry.proof import verdicts

Document = Mapping[str, Any]
NEUTRAL = "neutral"  # how rows of our own are called, which every adapter without others is run on


def document(verdict: Verdict) -> dict[str, Any]:
    """State, times and the engine's report in one mapping; `checks` is always a list."""
    report = verdict.result or {}
    return {
        **report,
        "checks": report.get("checks") or [],
        "state": verdict.state,
        "reason": verdicts.why(verdict),
        "waits_long": bool(verdict.reason or verdict.held_at),  # for more than its turn
        "attempt": verdict.attempt,
        "queued_at": verdict.queued_at,
        "started_at": verdict.started_at,
        "finished_at": verdict.finished_at,
        "duration_ms": verdict.duration_ms,
    }


@dataclass(frozen=True, slots=True)
class Bar:
    """One measured value; `width` is its share, in percent, of the longest bar it is shown with."""

    label: str
    who: str
    value: float
    width: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric: the frozen base, this revision and what the card claims, on one scale."""

    name: str
    metric: str
    rows: int
    bars: list[Bar]
    less_is_better: bool = False

    @property
    def is_neutral(self) -> bool:
        """Whether it was measured on plain sentences: it says nothing of what the adapter is for."""
        return self.name == NEUTRAL


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that the page of a verdict says."""

    document: Document
    teeth: list[Tooth]
    failed: list[Mapping[str, Any]]
    measured: list[Measured]
    served: list[Served]
    fits: Fits

    @property
    def ran(self) -> int:
        return sum(tooth.ran for tooth in self.teeth)

    @property
    def good(self) -> int:
        return self.ran - len(self.failed)

    @property
    def headlines(self) -> list[Measured]:
        """The numbers that say most, for the top of a page."""
        return [item for item in self.measured if not item.is_neutral][:2]

    @property
    def samples(self) -> list[Mapping[str, str]]:
        return list(self.document.get("samples") or [])

    @property
    def expects(self) -> bool:
        """Whether anybody says what the answers should be."""
        return any(sample.get("expected") for sample in self.samples)

    @property
    def is_open(self) -> bool:
        return self.document["state"] in ("queued", "running")


def proof(verdict: Verdict) -> Proof:
    said = document(verdict)
    failed = [check for check in said["checks"] if check["outcome"] == "failed" and said["state"] != "errored"]
    return Proof(
        said, areas(said), failed, [_measured(item) for item in said.get("evals") or []], served(said), fits(said)
    )


def _measured(item: Mapping[str, Any]) -> Measured:
    named = (("base, frozen", "base"), ("this revision", "adapter"), ("claimed in card", "claimed"))
    values = [(label, who, float(item[who])) for label, who in named if item.get(who) is not None]
    longest = max([1.0, *(value for _, _, value in values)]) if values else 1.0
    bars = [Bar(label, who, value, round(max(0.0, value) / longest * 100, 2)) for label, who, value in values]
    return Measured(
        str(item.get("name", "")), str(item.get("metric", "")), int(item.get("rows") or 0), bars,
        less_is_better=item.get("better") == "lower",
    )  # fmt: skip
