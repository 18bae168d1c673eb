"""A verdict, from a hub or from the static checks on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dovetail.adapters.results.records import Record, slots
from dovetail.adapters.results.report import CheckResult as Check
from dovetail.adapters.results.report import Content, Evaluation, Sample, Serving

__all__ = ["UNFINISHED", "Check", "Verdict", "read"]

T = TypeVar("T", bound=Record)
UNFINISHED = ("queued", "running")


@dataclass(frozen=True, repr=False)
class Verdict:
    """`state` is queued, running, passed, failed or errored; `document` is the hub's whole answer."""

    state: str
    checks: tuple[Check, ...] = ()
    adapter: str = ""
    revision: str = ""
    reason: str = ""
    evals: tuple[Evaluation, ...] = ()
    samples: tuple[Sample, ...] = ()
    serving: tuple[Serving, ...] = ()
    contents: tuple[Content, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        from dovetail.base import notebook  # noqa: PLC0415  # only notebooks ask for it

        return notebook.verdict(self)

    def __repr__(self) -> str:
        of = f" of {self.adapter}@{self.revision[:12]}".rstrip("@") if self.adapter else ""
        by = f" by {' '.join(check.id for check in self.failed_checks)}" if self.failed_checks else ""
        return f"<Verdict{of}: {self.state}{by}, {len(self.checks)} checks>"

    @property
    def passed(self) -> bool:
        return self.state == "passed"

    @property
    def regression(self) -> Mapping[str, Any]:
        """The comparison with the verified version before it, as the hub states it; empty if it states none."""
        stated = self.document.get("regression")
        return stated if isinstance(stated, Mapping) else {}

    @property
    def training(self) -> Mapping[str, Any]:
        """The facts that trainers state in the files of a folder, by the static checks; empty if none were read."""
        facts = self.document.get("training")
        return facts if isinstance(facts, Mapping) else {}

    @property
    def verified(self) -> Mapping[str, Any]:
        """Whether `verified` may name it, and why not, as the hub states it; empty for an older hub, and a folder."""
        stated = self.document.get("verified")
        return stated if isinstance(stated, Mapping) else {}

    @property
    def held_back(self) -> bool:
        """True if it passed, and `verified` does not name it for what was measured: worse than before, or no gain."""
        is_worse = self.regression.get("state") == "held"  # as hubs say it that do not state `verified`
        return self.passed and (bool(self.verified.get("overridable")) or (is_worse and not self.verified))

    @property
    def renewal(self) -> Mapping[str, Any]:
        """The newer validation that is queued or running while this verdict is in force; empty if there is none."""
        stated = self.document.get("renewal")
        return stated if isinstance(stated, Mapping) else {}

    @property
    def errored_renewal(self) -> Mapping[str, Any]:
        """The newest validation if it errored, so that this verdict stays in force; empty if it did not."""
        stated = self.document.get("errored_renewal")
        return stated if isinstance(stated, Mapping) else {}

    @property
    def finished(self) -> bool:
        """True if it is decided and is not being renewed."""
        return self.state not in UNFINISHED and not self.renewal

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "failed")


def read(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a document of the REST interface states.

    A hub may be newer than this client: `document` keeps keys that this client does not know, and list entries that it
    cannot read are left out.
    """
    return Verdict(
        state=document["state"],
        checks=tuple(_check(check) for check in document.get("checks") or () if isinstance(check, Mapping)),
        adapter=document.get("adapter") or "",
        revision=document.get("revision") or "",
        reason=document.get("reason") or document.get("incomplete") or "",
        evals=_records(Evaluation, document.get("evals")),
        samples=_records(Sample, document.get("samples")),
        serving=_records(Serving, document.get("serving")),
        contents=_records(Content, document.get("contents")),
        document=document,
    )


def _records(cls: type[T], items: Any) -> tuple[T, ...]:
    required = {slot.name for slot in slots(cls) if slot.is_required}
    return tuple(cls.read(item) for item in items or () if isinstance(item, Mapping) and required <= item.keys())


def _check(document: Mapping[str, Any]) -> Check:
    outcome: Any = str(document.get("outcome"))  # a newer hub may have more outcomes
    return Check(
        str(document.get("id")),
        outcome,
        str(document.get("message") or ""),
        str(document.get("fix") or ""),
        document.get("where") or {},
        document.get("duration_ms"),
    )
