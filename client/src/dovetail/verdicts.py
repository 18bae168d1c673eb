"""A verdict, from a hub or from the static checks on this machine, and as other tools read it.

Those are JUnit for test reports, SARIF for code scanning, Markdown for a job's summary, and HTML for notebooks: without
a script or style sheet, every text of a hub escaped.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, TypeVar
from xml.etree import ElementTree

from dovetail import __version__
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
        return as_html(self)

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
        """The hub's statement whether `verified` may name it, and why not; empty for an older hub, and a folder."""
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


MARKS = {"passed": "✓", "warned": "!", "failed": "✗", "skipped": "·"}
COLORS = {"passed": "#18794e", "failed": "#c62a2f", "errored": "#8e4ec6", "running": "#0b68cb", "queued": "#6f6e77"}
FIRST = ("failed", "warned", "passed", "skipped")


def as_html(shown: "Verdict") -> str:
    """Return a headline, scores, and the checks: failed ones first and open, the others folded."""
    failed = [check for check in shown.checks if check.outcome == "failed"]
    rest = sorted((c for c in shown.checks if c.outcome != "failed"), key=lambda c: FIRST.index(_known(c.outcome)))
    parts = [_headline(shown), _scores(shown), _table([_row(*_cells(check)) for check in failed])]
    if rest:
        rows = _table([_row(*_cells(check)) for check in rest])
        parts.append(f"<details><summary>{len(rest)} other checks</summary>{rows}</details>")
    return f"<div>{''.join(parts)}</div>"


def _headline(shown: "Verdict") -> str:
    of = f"{shown.adapter}@{shown.revision[:12]}".rstrip("@")
    color = COLORS.get(shown.state, COLORS["queued"])
    reason = f"<br>{escape(shown.reason)}" if shown.reason else ""
    return f'<p><strong style="color:{color}">{escape(shown.state)}</strong> <code>{escape(of)}</code>{reason}</p>'


def _scores(shown: "Verdict") -> str:
    rows = [
        _row(
            s.name,
            s.metric,
            f"{s.base} {'by a guess' if s.guess else 'without'}",
            f"{s.adapter} with it",
            f"{s.rows} rows",
        )
        for s in shown.evals
    ]
    return _table(rows)


def _cells(check: "Check") -> tuple[str, str, str, str]:
    return MARKS.get(check.outcome, "?"), check.id, check.message, check.fix


def _known(outcome: str) -> str:
    return outcome if outcome in FIRST else "skipped"


def _row(*cells: object) -> str:
    return "<tr>" + "".join(f'<td style="text-align:left">{escape(str(cell))}</td>' for cell in cells) + "</tr>"


def _table(rows: list[str]) -> str:
    return f"<table>{''.join(rows)}</table>" if rows else ""


LEVELS = {"failed": "error", "warned": "warning"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#|!~@])")


def junit(verdict: Verdict, place: str) -> str:
    """Return a test suite with a case for each check; `place` is the folder, or the adapter on a hub."""
    outcomes = [check.outcome for check in verdict.checks]
    counts = {"tests": len(outcomes), "failures": outcomes.count("failed"), "skipped": outcomes.count("skipped")}
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": f"dovetail {_xml(place)}"})
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    for check in verdict.checks:
        seconds = f"{(check.duration_ms or 0) / 1000:.3f}"
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(place), "name": _xml(check.id), "time": seconds}
        )
        if check.outcome == "failed":
            failure = ElementTree.SubElement(case, "failure", {"type": _xml(check.id), "message": _xml(check.message)})
            failure.text = _xml(check.fix)
        elif check.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", {"message": _xml(check.message)})
        elif check.outcome == "warned":
            ElementTree.SubElement(case, "system-out").text = _xml(f"{check.message} {check.fix}".strip())
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode")


def sarif(verdict: Verdict, place: str) -> str:
    """Return SARIF 2.1.0 with a result for each check that failed or warned; `place` is the folder in the workspace."""
    told = [check for check in verdict.checks if check.outcome in LEVELS]
    rules = [
        {"id": check.id, "shortDescription": {"text": check.id}, "help": {"text": check.fix or check.id}}
        for check in told
    ]
    driver = {"name": "dovetail", "semanticVersion": __version__, "rules": rules}
    results = [_result(check, at, place) for at, check in enumerate(told)]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    document = {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(document, indent=2)


def markdown(verdict: Verdict, place: str) -> str:
    """Return the state, what failed or warned with its fix, and what was measured."""
    lines = [f"## {_plain(place)}: {_plain(verdict.state)}", ""]
    if verdict.reason:
        lines += [_plain(verdict.reason), ""]
    told = [check for check in verdict.checks if check.outcome in LEVELS]
    if told:
        lines += ["| check | outcome | message | fix |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(map(_plain, (one.id, one.outcome, one.message, one.fix)))} |" for one in told] + [""]
    if verdict.evals:
        lines += ["| evaluation | metric | base | adapter |", "|---|---|---|---|"]
        lines += [
            f"| {' | '.join(_plain(str(value)) for value in (one.name, one.metric, one.base, one.adapter))} |"
            for one in verdict.evals
        ] + [""]
    passed = sum(check.outcome == "passed" for check in verdict.checks)
    return "\n".join([*lines, f"{passed} of {len(verdict.checks)} checks passed."])


REPORTS: dict[str, Callable[[Verdict, str], str]] = {"junit": junit, "sarif": sarif, "markdown": markdown}


def _result(check: Check, index: int, place: str) -> dict[str, object]:
    file = check.where.get("file") if isinstance(check.where, dict) else None
    uri = "/".join((place.strip("/").removeprefix("./"), str(file or "adapter_config.json")))
    return {
        "ruleId": check.id,
        "ruleIndex": index,
        "level": LEVELS[check.outcome],
        "message": {"text": f"{check.message} {check.fix}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
    }


def _xml(text: str) -> str:
    """Replace what XML cannot hold: messages quote names that strangers chose."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
