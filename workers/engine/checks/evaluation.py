"""Checks of the measured numbers: against the frozen base, the card's claims and the rows' expected answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dovetail.adapters import paired
from dovetail.adapters.findings import Finding, failed, skipped, warned
from dovetail.adapters.records import MAX_ITEMS
from dovetail.adapters.report import Evaluation, Outcome
from workers.engine.checks.claims import MARGIN, claim_of, claimed_value, holds
from workers.engine.evals import builtin
from workers.engine.evals.codec import Row
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows import digest
from workers.engine.trial import Trial

NO_ROWS = "There are no labelled rows: put a smoke.jsonl beside the adapter to have it measured."
FIX = "Check the training and the order of the labels (indices, or label_names in the card, say it without a doubt)."
CLAIM_FIX = "Correct model-index in the card, or push the weights that reach it."
FORGETS, GARBAGE = 2.0, 20.0  # times the base's loss on plain sentences
FORGETS_WORDS = 3.0  # likewise, for a language adapter, which may be for another language
AGREES = 0.9
HEAD_FIX = "Train the adapter longer or with a higher rank; where the head is enough, publish the head alone."


def worse_than_base(trial: Trial) -> str | Finding:
    metrics = measured(trial)
    if not metrics:
        return skipped(NO_ROWS)
    trial.evals += [_evaluation(trial, trial.rows.name, metric, trial.rows.rows) for metric in metrics]
    first, *others = metrics
    numbers = "; ".join(map(_sentence, metrics))
    where = {"metric": first.name, "base": first.base, "adapter": first.adapter, "rows": first.rows}
    outcome: Outcome = "warned" if trial.rows.guessed or trial.rows.doubt else "failed"
    fix = f"{trial.rows.eval.better_order(trial.outputs)} {FIX}".lstrip()
    if first.is_worse:
        other = "a guess without a model" if first.guess else "without"
        message = f"With the adapter it is worse than {other}: {numbers}."
        return Finding("warned" if first.may_be_chance else outcome, message, fix, where)
    if beside_head := _beside_its_head(first, numbers, outcome, where):
        return beside_head
    if worse := [metric for metric in others if metric.is_worse and not metric.rough]:
        return Finding(outcome, f"In {worse[0].name} it is worse than without: {numbers}.", fix, where)
    if (worse := [metric for metric in others if metric.is_worse]) and not first.guess:
        return Finding("warned", f"In {worse[0].name} it is worse than without: {numbers}.", fix, where)
    return f"{numbers[0].upper()}{numbers[1:]}{_alone(first)}."


def _beside_its_head(first: Metric, numbers: str, outcome: Outcome, where: dict[str, Any]) -> Finding | None:
    """Return a finding if the adapter's own head on the frozen base does as well: then the adapter adds nothing."""
    alone = first.head_alone
    if alone is None or first.adapter > alone:
        return None
    where = {**where, "head_alone": alone}
    if first.adapter == alone:
        message = f"Its head alone, on the frozen base, gets {alone:g} as well, so the adapter adds nothing: {numbers}."
        return Finding("warned", message, HEAD_FIX, where)
    message = f"Its head alone, on the frozen base, gets {alone:g}, more than with the adapter: {numbers}"
    if not first.scores:
        certain = first.adapter < alone - margin(alone, first.rows)
        return Finding(outcome if certain else "warned", f"{message}.", FIX, where)
    pair = paired.compare(first.scores, first.alone_scores, first.weights)
    # A number over all rows, such as F1, may fall while its rows rise: then the rows do not say that it is worse.
    certain = pair.lower < paired.ALPHA and pair.difference < 0
    message += f" (p = {pair.lower:.2g})."
    return Finding(outcome if certain else "warned", message, FIX, where | {"p": round(pair.lower, 6)})


def _alone(metric: Metric) -> str:
    if metric.head_alone is None:
        return ""
    chance = ""
    if metric.scores:
        chance = f", p = {paired.compare(metric.scores, metric.alone_scores, metric.weights).two_sided:.3f}"
    return f"; its head alone, on the frozen base, {metric.head_alone:g}{chance}"


def _sentence(metric: Metric) -> str:
    other = "a guess" if metric.guess else "the frozen base"
    bounds = f" ({metric.interval[0]:g} to {metric.interval[1]:g})" if metric.interval else ""
    return f"{metric.name} {metric.adapter:g}{bounds}, {other} {metric.base:g} ({metric.rows} rows)"


def margin(share: float, rows: int, claimed_rows: int | None = None) -> float:
    """Return the margin between two samples: two standard errors of their difference, and at least 0.05.

    A sample of unknown size counts as exact.
    """
    bounded = min(max(share, 0.0), 1.0)
    both = 1 / rows + (1 / claimed_rows if claimed_rows else 0.0)
    return max(MARGIN, 2 * math.sqrt(bounded * (1 - bounded) * both))


def claim(trial: Trial) -> str | Finding:
    metrics = measured(trial)
    if not metrics:
        return skipped(NO_ROWS)
    pairs = [(metric, claim_of(trial.folder.card or {}, metric)) for metric in metrics]
    claims = [(metric, stated) for metric, stated in pairs if stated is not None]
    if not claims:
        return skipped(f"The card claims no {' or '.join(metric.name for metric in metrics)}.")
    sentences = []
    for metric, stated in claims:
        claimed, room = stated.value, margin(stated.value, metric.rows, stated.rows)
        beside = f" (margin {room:.2f})" if metric.higher_is_better else ""
        if not holds(metric, claimed, room):
            return Finding(
                "warned" if metric.rough or trial.rows.doubt else "failed",
                f"The card claims {metric.name} {claimed:g}, but {metric.rows} rows gave {metric.adapter:g}{beside}.",
                CLAIM_FIX,
                {"metric": metric.name, "claimed": claimed, "measured": metric.adapter, "margin": round(room, 4)},
            )
        sentences.append(f"{metric.name} {claimed:g}, measured {metric.adapter:g}{beside}")
    return f"The card claims {'; '.join(sentences)}."


def expected(trial: Trial) -> str | Finding:
    """Compare the adapter's outputs with the `expected` outputs that its author wrote into the rows."""
    outputs, rows = trial.outputs, trial.outputs.rows
    numbers = [at for at, row in enumerate(rows) if "expected" in row]
    if not numbers:
        return skipped("No row says what is expected.")
    answers = {at: trial.rows.eval.agrees(outputs, at) for at in numbers}
    judged = {at: answer for at, answer in answers.items() if answer is not None}
    if not judged:
        return warned(
            f"What is expected in row {numbers[0] + 1} has no form that can be compared here.",
            "Give a list of logits or of label names, a label, or the text of an answer: docs/checks has the forms.",
        )
    right = sum(judged.values())
    if right >= AGREES * len(judged):
        return f"In {right} of {len(judged)} rows the adapter says what is expected."
    wrong = [at + 1 for at, answer in judged.items() if not answer]
    return failed(
        f"Only in {right} of {len(judged)} rows the adapter says what is expected; the first other is {wrong[0]}.",
        "Push the weights that gave these outputs, name the base they were made on, or write the rows' expected anew.",
        rows=wrong[:20],
    )


def neutral(trial: Trial) -> str | Finding:
    """Check that a language model has not forgotten ordinary sentences."""
    outputs = trial.neutral
    if outputs is None:
        return skipped("Only language models are asked what they still know of plain sentences.")
    metric, *_ = trial.rows.eval.measure(outputs)
    trial.evals.append(_evaluation(trial, builtin.NAME, metric, outputs.rows))
    ratio = metric.adapter / max(metric.base, 1e-6)
    most = FORGETS_WORDS if trial.rows.eval.task == "MASKED_LM" else FORGETS
    message = (
        f"On {metric.rows} plain English sentences the loss is {metric.adapter:g}, the frozen base's {metric.base:g}"
    )
    if ratio <= most:
        return f"{message}."
    fix = "Train for fewer steps or with a smaller learning rate; mix plain text into the training set."
    where = {"base": metric.base, "adapter": metric.adapter, "ratio": round(ratio, 2)}
    outcome: Outcome = "failed" if ratio > GARBAGE else "warned"
    return Finding(outcome, f"{message}: {ratio:.1f} times as much. It has forgotten what the base knew.", fix, where)


def degenerate(trial: Trial) -> str | Finding:
    """Look for faults that good numbers hide: one answer to everything, loops, empty texts, vectors all alike."""
    odd = trial.rows.eval.degenerate(trial.outputs) if trial.outputs.adapter else ""
    if trial.cannot_write:
        odd = f"It cannot write: generate() ended with {trial.cannot_write}."
    if odd:
        return warned(odd, "Look at the samples; train longer, with all labels, or with a smaller learning rate.")
    return f"Nothing odd in its answers to {len(trial.outputs.adapter)} rows."


def measured(trial: Trial) -> list[Metric]:
    rows = trial.rows
    return [] if rows.source == "neutral" else rows.eval.measure(trial.outputs)


def _evaluation(trial: Trial, name: str, metric: Metric, rows: Sequence[Row]) -> Evaluation:
    by_row = bool(metric.scores) and len(metric.scores) <= MAX_ITEMS
    return Evaluation(
        name,
        metric.rows,
        metric.name,
        metric.base,
        metric.adapter,
        claimed=claimed_value(trial.folder.card or {}, metric) if name != builtin.NAME else None,
        better="higher" if metric.higher_is_better else "lower",
        head_alone=metric.head_alone,
        guess=metric.guess or None,
        interval=metric.interval,
        scores=tuple(metric.scores) if by_row else None,
        weights=tuple(metric.weights) if by_row and metric.weights else None,
        rows_sha256=digest(rows) if by_row else None,
        task=trial.rows.eval.task if by_row else None,
    )
