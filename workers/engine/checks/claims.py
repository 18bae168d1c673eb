"""The numbers that a card claims in its model-index, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workers.engine.evals.measures import MOST, Metric

MARGIN = 0.05
LOSS_MARGIN = 0.1
ALIASES = {
    "acc": "accuracy", "f1macro": "macrof1", "em": "exactmatch", "exact": "exactmatch", "ppl": "perplexity",
    "spearmanr": "spearman", "pearsonr": "pearson", "rougelsum": "rougel",
}  # fmt: skip


def claimed_value(card: Any, metric: Metric) -> float | None:
    """Return the boldest value that model-index claims for that metric; percentages become shares."""
    entries = [entry for entry in _metrics(card) if isinstance(entry, dict)]
    values = [entry.get("value") for entry in entries if _plain(entry.get("type", "")) == _plain(metric.name)]
    numbers = [number for number in map(_number, values) if number is not None]
    if not metric.higher_is_better:
        return min(numbers, default=None)
    return max((number / 100 if number > 1 else number for number in numbers), default=None)


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


def _metrics(card: Any) -> Iterator[Any]:
    for model in _list(card.get("model-index")):
        for result in _list(model.get("results")) if isinstance(model, dict) else ():
            yield from _list(result.get("metrics")) if isinstance(result, dict) else ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
