"""The numbers that a card claims in its model-index, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.engine.evals.measures import MOST, Metric

MARGIN = 0.05
LOSS_MARGIN = 0.1
ALIASES = {
    "acc": "accuracy", "f1macro": "macrof1", "em": "exactmatch", "exact": "exactmatch", "ppl": "perplexity",
    "spearmanr": "spearman", "pearsonr": "pearson", "rougelsum": "rougel",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that a card claims, and the rows that it was measured on; None if the card does not say how many."""

    value: float
    rows: int | None = None


def claim_of(card: Any, metric: Metric) -> Claim | None:
    """Return the boldest claim of that metric in model-index; percentages become shares."""
    claims = [
        Claim(number / 100 if metric.higher_is_better and number > 1 else number, rows)
        for entry, rows in _metrics(card)
        if isinstance(entry, dict) and _plain(entry.get("type", "")) == _plain(metric.name)
        if (number := _number(entry.get("value"))) is not None
    ]
    bold = max if metric.higher_is_better else min
    return bold(claims, key=lambda claim: claim.value, default=None)


def claimed_value(card: Any, metric: Metric) -> float | None:
    claim = claim_of(card, metric)
    return claim.value if claim else None


def holds(metric: Metric, claimed: float, room: float) -> bool:
    if metric.higher_is_better:
        return metric.adapter >= claimed - room
    return metric.adapter <= claimed * (1 + LOSS_MARGIN)


def _plain(name: Any) -> str:
    """Return the canonical name of a metric: "Exact Match", exact_match and em are one."""
    letters = re.sub(r"[^a-z0-9]", "", str(name).lower())
    return ALIASES.get(letters, letters)


def _number(value: Any) -> float | None:
    """Return a card's value, which may be "97.5 %", as a number; None if it cannot be a measurement."""
    try:
        number = float(value.strip().rstrip("%")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < MOST and type(value) is not bool else None


def _metrics(card: Any) -> Iterator[tuple[Any, int | None]]:
    """Yield each metric with the number of rows of its data set, as `num_examples` in the args of either."""
    for model in _list(card.get("model-index")):
        for result in _list(model.get("results")) if isinstance(model, dict) else ():
            for entry in _list(result.get("metrics")) if isinstance(result, dict) else ():
                yield entry, _rows(entry) or _rows(result.get("dataset"))


def _rows(entry: Any) -> int | None:
    arguments = entry.get("args") if isinstance(entry, dict) else None
    rows = arguments.get("num_examples") if isinstance(arguments, dict) else None
    return rows if type(rows) is int and 0 < rows < MOST else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
