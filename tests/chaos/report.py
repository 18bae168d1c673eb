"""The outcome of a scenario, and the table of all."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ops.sentences import ROOT
from tests.chaos.load import WITHOUT_STORE, Load
from tests.chaos.scenarios import Scenario

HEADINGS = ("scenario", "requests", "refused", "longest outage: asking, pushing", "writes", "lost", "bare", "verdicts")


@dataclass(frozen=True)
class Row:
    """The effect of one scenario on the clients, and the faults that stayed."""

    scenario: Scenario
    load: Load
    seconds: float
    lost: Counter[str]
    half_made: Counter[str]
    open_verdicts: dict[str, int]
    errors: Counter[str]  # exceptions in the logs

    @property
    def bare(self) -> Counter[str]:
        in_logs = {what: times for what, times in self.errors.items() if what.startswith("500 ")}
        return self.load.answers.bare() + Counter(in_logs)

    @property
    def is_right(self) -> bool:
        return not (
            self.lost or self.half_made or self.bare or self.open_verdicts or self.load.done["read other bytes"]
        )

    def cells(self) -> list[str]:
        answers, ledger = self.load.answers, self.load.ledger
        refused = answers.refused()
        asking = answers.longest_outage(("livez", "page", "list", "info", "head"))
        pushing = answers.longest_outage(("push", "commit"))
        return [
            self.scenario.name,
            f"{len(answers.all):,}",
            ", ".join(f"{times} × {code}" for code, times in refused.most_common()) or "none",
            f"{asking:.1f} s, {pushing:.1f} s",
            f"{len(ledger.acknowledged())}",
            f"{sum(self.lost.values()) + sum(self.half_made.values())}",
            f"{sum(self.bare.values())}",
            f"{len(ledger.revisions('models'))} ended" if not self.open_verdicts else f"open: {self.open_verdicts}",
        ]

    def details(self) -> str:
        """Return everything that helps to find a cause."""
        lines = [f"  {self.seconds:.0f} s; {dict(self.load.done)}"]
        for title, counted in (
            ("LOST", self.lost),
            ("HALF MADE", self.half_made),
            ("BARE", self.bare),
            ("client", self.load.problems),
            ("log", self.errors),
        ):
            lines += [f"  {title}: {times} × {what}" for what, times in counted.most_common(8)]
        for kind in (*WITHOUT_STORE, "file", "alias", "push", "commit"):
            lines.append(f"  {kind:6} {self._of_kind(kind)}")
        return "\n".join([*lines, "  " + " | ".join(self.cells())])

    def _of_kind(self, kind: str) -> str:
        answers = [one for one in self.load.answers.all if one.kind == kind]
        good = sorted(one.seconds for one in answers if one.is_good)
        bad = sorted(one.seconds for one in answers if not one.is_good)
        slowest = f"slowest good {good[-1]:.1f} s" if good else "none good"
        return f"{len(good)} of {len(answers)} good, {slowest}" + (f", slowest bad {bad[-1]:.1f} s" if bad else "")

    def record(self) -> dict[str, Any]:
        return dict(zip(HEADINGS, self.cells(), strict=True)) | {"seconds": round(self.seconds), "right": self.is_right}


def print_table(rows: list[Row]) -> None:
    """Print the table as Markdown, and keep it in .bench/chaos.json."""
    print("\n| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    for row in rows:
        print("| " + " | ".join(row.cells()) + " |")
    folder = ROOT / ".bench"
    folder.mkdir(exist_ok=True)
    (folder / "chaos.json").write_text(json.dumps([row.record() for row in rows], indent=1) + "\n")
