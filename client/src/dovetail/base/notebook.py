"""A verdict as HTML for notebooks: no script, no style sheet, and every text of a hub escaped."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.base.verdicts import Check, Verdict

MARKS = {"passed": "✓", "warned": "!", "failed": "✗", "skipped": "·"}
COLORS = {"passed": "#18794e", "failed": "#c62a2f", "errored": "#8e4ec6", "running": "#0b68cb", "queued": "#6f6e77"}
FIRST = ("failed", "warned", "passed", "skipped")


def verdict(shown: "Verdict") -> str:
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
