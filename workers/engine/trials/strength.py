"""The strength curve of an adapter: its effect, score and drift at scales from 0 to 1.25, and the recommended one.

It is a fact and never a verdict, so everything that keeps it from being measured is a reason and no fault.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from peft.helpers import rescale_adapter_scale
from peft.tuners.lora import LoraLayer

from dovetail.adapters.results import paired
from dovetail.adapters.results.report import ScalePoint, Strength
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows.rows import Rows, neutral
from workers.engine.evals.task import Line
from workers.engine.trials.trial import Trial

SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SHARE = 0.1  # of the time that a validation may take
WORSE = 0.05  # one-sided: below it a score is worse than the best one beyond chance


def curve(trial: Trial, seconds: float) -> Strength | None:
    """Return the curve; None for an adapter without rows that measure it. `seconds` is the limit of the validation."""
    if trial.rows.source == "neutral" or trial.rows.guessed or not trial.rows.eval.measure(trial.outputs):
        return None
    if reason := _why_not(trial):
        return Strength(left_out=reason)
    deadline = time.monotonic() + SHARE * seconds
    plain = neutral(trial.frozen, trial.rows.eval, trial.rows.codec)
    base_plain = at_scale(trial, 0.0, plain)
    points: list[ScalePoint] = []
    metrics: list[Metric] = []
    for scale in SCALES:
        began = time.monotonic()
        lines = _known(trial, scale) or at_scale(trial, scale, trial.rows)
        metric = _metric(trial, lines)
        effect = _distance(lines, trial.without_adapter.lines)
        drift = _distance(at_scale(trial, scale, plain), base_plain) if scale else 0.0
        points.append(ScalePoint(scale, effect, metric.adapter, drift))
        metrics.append(metric)
        took = time.monotonic() - began
        if scale != SCALES[-1] and time.monotonic() + took > deadline:
            return Strength(left_out=f"Six scales take more than {SHARE * seconds:.0f} s, the share of a validation.")
    first = metrics[0]
    better: Literal["higher", "lower"] = "higher" if first.higher_is_better else "lower"
    return Strength(first.name, better, first.rows, tuple(points), recommended(metrics))


def at_scale(trial: Trial, scale: float, rows: Rows, most: int | None = None) -> Sequence[Line]:
    """Return the outputs with every LoRA layer scaled by this factor (peft.helpers.rescale_adapter_scale)."""
    with torch.inference_mode(), rescale_adapter_scale(trial.model, scale):
        return [line for answers in rows.answers(trial.model, most) for line in answers]


def recommended(metrics: Sequence[Metric]) -> float | None:
    """Return the smallest scale above 0 whose score is not worse than the best one beyond chance.

    None without numbers row by row, and where no scale is worse beyond chance: then these rows tell none apart.
    """
    pairs = list(zip(SCALES, metrics, strict=True))[1:]
    if not all(metric.scores for _, metric in pairs):
        return None
    sign = 1 if pairs[0][1].higher_is_better else -1
    best = max((metric for _, metric in pairs), key=lambda metric: sign * metric.adapter)
    compared = [paired.compare(metric.scores, best.scores, metric.weights) for _, metric in pairs]
    as_good = [(pair.lower if sign > 0 else pair.higher) >= WORSE for pair in compared]
    if all(as_good):
        return None
    return next(scale for (scale, _), is_as_good in zip(pairs, as_good, strict=True) if is_as_good)


def _why_not(trial: Trial) -> str:
    """Return why a scale means nothing for this adapter, "" if it does.

    The first batch is asked: at scale 0 it must be the base's to the last bit, and at 1 the adapter's. The magnitudes
    of DoRA and trained tokens, for example, do not follow the scale.
    """
    if not any(isinstance(module, LoraLayer) for module in trial.model.modules()):
        return "Only methods of the LoRA family have a scale."
    for scale, known in ((0.0, trial.without_adapter), (1.0, trial.with_adapter)):
        lines = at_scale(trial, scale, trial.rows, most=1)
        if not all(torch.equal(line, other) for line, other in zip(lines, known.lines, strict=False)):
            return "A part of it does not follow the scale: at 0 it is not the base."
    return ""


def _known(trial: Trial, scale: float) -> Sequence[Line] | None:
    return {0.0: trial.without_adapter.lines, 1.0: trial.with_adapter.lines}.get(scale)


def _metric(trial: Trial, lines: Sequence[Line]) -> Metric:
    outputs = replace(trial.outputs, adapter=trial.rows.in_order(lines), written={})
    return trial.rows.eval.measure(outputs)[0]


def _distance(lines: Sequence[Line], base: Sequence[Line]) -> float:
    """Return how far the outputs are from the base's, as a share of their length: the mean over the rows."""
    shares = [float((line - other).norm() / other.norm().clamp(min=1e-9))
              for line, other in zip(lines, base, strict=True)]  # fmt: skip
    return round(min(sum(shares) / max(1, len(shares)), 1e6), 6)
