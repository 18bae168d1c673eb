"""A verdict as the hub, or the static checks on this machine, give it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNFINISHED = ("queued", "running")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `outcome` is passed, warned, failed or skipped."""

    id: str
    outcome: str
    message: str = ""
    fix: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    duration_ms: float | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """`state` is queued, running, passed, failed or errored; `document` is all that the hub said."""

    state: str
    checks: tuple[Check, ...] = ()
    adapter: str = ""
    revision: str = ""
    reason: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        of = f" of {self.adapter}@{self.revision[:12]}".rstrip("@") if self.adapter else ""
        by = f" by {' '.join(check.id for check in self.failed_checks)}" if self.failed_checks else ""
        return f"<Verdict{of}: {self.state}{by}, {len(self.checks)} checks>"

    @property
    def passed(self) -> bool:
        return self.state == "passed"

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "failed")


def read(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a document of the REST interface states; keys we do not know are kept in `document`."""
    return Verdict(
        state=document["state"],
        checks=tuple(_check(check) for check in document.get("checks") or () if isinstance(check, Mapping)),
        adapter=document.get("adapter") or "",
        revision=document.get("revision") or "",
        reason=document.get("reason") or "",
        document=document,
    )


def _check(said: Mapping[str, Any]) -> Check:
    return Check(
        str(said.get("id")),
        str(said.get("outcome")),
        str(said.get("message") or ""),
        str(said.get("fix") or ""),
        said.get("where") or {},
        said.get("duration_ms"),
    )
