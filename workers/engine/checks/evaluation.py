"""Checks of the measured number: not worse than the frozen base, and what the card claims holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dovetail.adapters.findings import Finding, Outcome, failed, skipped
from workers.engine.evals.rows import Metric
from workers.engine.trial import Trial

NO_ROWS = "There are no labelled rows: put a smoke.jsonl beside the adapter to have it measured."
FIX = "Check the training and the order of the labels (indices, or label_names in the card, say it without a doubt)."
MARGIN = 0.05
LOSS_MARGIN = 0.1
MOST = 1e9  # beyond it nothing is a measure, and a verdict takes no such number


def worse_than_base(trial: Trial) -> str | Finding:
    metric = measured(trial)
    if metric is None:
        return skipped(NO_ROWS)
    trial.evals.append(_as_json(trial, metric))
    numbers = f"{metric.name} {metric.adapter:g}, the frozen base {metric.base:g} ({metric.rows} rows)"
    where = {"metric": metric.name, "base": metric.base, "adapter": metric.adapter, "rows": metric.rows}
    outcome: Outcome = "warned" if trial.rows.guessed else "failed"
    if metric.is_worse:
        return Finding(outcome, f"With the adapter it is worse than without: {numbers}.", FIX, where)
    alone = metric.head_alone
    if alone is not None and metric.adapter < alone:
        said = f"Its head alone, on the frozen base, gets {alone:g}, more than with the adapter: {numbers}."
        by_chance = metric.adapter >= alone - margin(alone, metric.rows)
        return Finding("warned" if by_chance else outcome, said, FIX, {**where, "head_alone": alone})
    more = "" if alone is None else f"; its head alone, on the frozen base, {alone:g}"
    return f"{numbers[0].upper()}{numbers[1:]}{more}."


def margin(share: float, rows: int) -> float:
    """What chance alone may do to a share measured on so few rows: two standard errors, and never less than 0.05."""
    bounded = min(max(share, 0.0), 1.0)
    return max(MARGIN, 2 * math.sqrt(bounded * (1 - bounded) / rows))


def claim(trial: Trial) -> str | Finding:
    metric = measured(trial)
    if metric is None:
        return skipped(NO_ROWS)
    claimed = claimed_value(trial.folder.card or {}, metric.name)
    if claimed is None:
        return skipped(f"The card claims no {metric.name}.")
    if not metric.higher_is_better:
        return _claimed_loss(metric, claimed)
    room = margin(claimed, metric.rows)
    if metric.adapter >= claimed - room:
        return f"The card claims {claimed:g}, measured {metric.adapter:g} (margin {room:.2f})."
    return failed(
        f"The card claims {metric.name} {claimed:g}, {metric.rows} rows gave {metric.adapter:g} (margin {room:.2f}).",
        "Correct model-index in the card, or push the weights that reach it.",
        claimed=claimed, measured=metric.adapter, margin=round(room, 4),
    )  # fmt: skip


def _claimed_loss(metric: Metric, claimed: float) -> str | Finding:
    if metric.adapter <= claimed * (1 + LOSS_MARGIN):
        return f"The card claims {claimed:g}, measured {metric.adapter:g}."
    return failed(
        f"The card claims {metric.name} {claimed:g}, but {metric.rows} rows gave {metric.adapter:g}.",
        "Correct model-index in the card, or push the weights that reach it.",
        claimed=claimed, measured=metric.adapter,
    )  # fmt: skip


def measured(trial: Trial) -> Metric | None:
    rows = trial.rows
    if rows.source == "neutral":
        return None
    return rows.eval.measure(rows.rows, trial.without_adapter.output, trial.with_adapter.output, rows.labels)


def _as_json(trial: Trial, metric: Metric) -> dict[str, Any]:
    claimed = claimed_value(trial.folder.card or {}, metric.name)
    said = {
        "name": trial.rows.name,
        "rows": metric.rows,
        "metric": metric.name,
        "base": metric.base,
        "adapter": metric.adapter,
    }
    return said | ({"claimed": claimed} if claimed is not None else {})


def claimed_value(card: Any, metric: str) -> float | None:
    """The boldest number that model-index claims of that metric; percentages become shares."""
    said = [entry for entry in _metrics(card) if isinstance(entry, dict)]
    named = [entry.get("value") for entry in said if str(entry.get("type", "")).strip().lower() == metric]
    found = [number for number in map(_number, named) if number is not None]
    if metric == "loss":
        return min(found, default=None)
    return max((number / 100 if number > 1 else number for number in found), default=None)


def _number(value: Any) -> float | None:
    """What a card says as a number, "97.5 %" too; None for what no measure can be."""
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
