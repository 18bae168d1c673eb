"""Who serves an adapter and which known bases it fits, as pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.serving import ENGINES

TITLES = {engine.name: engine.title for engine in ENGINES}
COLOURS = {"serves": "passed", "refuses": "", "wrong": "failed"}
MOST_BASES = 12


@dataclass(frozen=True, slots=True)
class Served:
    """One engine's line; `flags` is what to copy, empty unless it serves."""

    title: str
    version: str
    outcome: str
    colour: str
    reason: str
    flags: str


@dataclass(frozen=True, slots=True)
class Fits:
    """The bases it fits, those it does not and why; `note` says what shapes cannot tell."""

    yes: list[Mapping[str, Any]]
    no: list[Mapping[str, Any]]
    note: str
    more: int

    def __bool__(self) -> bool:
        return bool(self.yes or self.no)


def served(report: Mapping[str, Any]) -> list[Served]:
    """Every engine that was asked, those that serve it first and those that do so wrongly before those that refuse."""
    order = ("serves", "wrong", "refuses")
    lines = [_line(item) for item in report.get("serving") or []]
    return sorted(lines, key=lambda line: order.index(line.outcome))


def _line(item: Mapping[str, Any]) -> Served:
    name, outcome = str(item["engine"]), str(item["outcome"])
    title = TITLES.get(name, name)
    version = str(item["version"])
    return Served(
        title, "" if version.startswith(title.rpartition(" ")[2]) else version, outcome, COLOURS[outcome],
        str(item["reason"]), " ".join(item["flags"]),
    )  # fmt: skip


def fits(report: Mapping[str, Any]) -> Fits:
    """What was found when it was validated; a base that came later is asked at the next validation."""
    said = report.get("fits") or {}
    bases = said.get("bases") or []
    yes, no = [base for base in bases if base["fits"]], [base for base in bases if not base["fits"]]
    return Fits(yes[:MOST_BASES], no[:MOST_BASES], str(said.get("note") or ""), max(0, len(no) - MOST_BASES))
