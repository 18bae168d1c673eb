"""Several adapters in one repository: one report from what was found of each; which are proven is known elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from dovetail.adapters.places import Content
from workers.report import DEPTHS, Report

WORST_FIRST = ("errored", "failed", "passed")


def one_of(reports: Mapping[str, Report]) -> Report:
    """Return one report by folder: the worst decides, the least depth counts, and each check says where it looked."""
    worst = min(reports.values(), key=lambda report: WORST_FIRST.index(report["state"]))
    if len(reports) == 1 and "" in reports:
        return worst
    every = list(reports.items())
    return worst | {
        "depth": min((report["depth"] for report in reports.values()), key=DEPTHS.index),
        "checks": [placed(check, place) for place, report in every for check in report["checks"]],
        "evals": [
            item | {"name": f"{place}/{item['name']}" if len(every) > 1 else item["name"]}
            for place, report in every
            for item in report["evals"]
        ],
    }


def placed(check: Report, place: str) -> Report:
    """Return a check that says in which folder it looked."""
    return check | {"where": {**check["where"], "path": _inside(place, check["where"].get("path"))}} if place else check


def _inside(place: str, path: Any) -> str:
    """A composition's own check names a folder as well, in its own."""
    return f"{place}/{path}" if isinstance(path, str) and path else place


def rows(found: Sequence[Sequence[Report]]) -> list[Report]:
    """Return one row for each engine: what it said of the adapter that it judged worst."""
    by_name: dict[str, Report] = {}
    for row in (row for each in found for row in each):
        known = by_name.get(row["name"])
        if known is None or WORST_FIRST.index(row["state"]) < WORST_FIRST.index(known["state"]):
            by_name[row["name"]] = row
    return list(by_name.values())


def listed(held: Sequence[Content], places: Sequence[str]) -> list[Report]:
    """Return every adapter in the repository, and whether the verdict is about it."""
    return [{"path": one.path, "format": one.format, "kind": one.kind, "proven": one.folder in places} for one in held]
