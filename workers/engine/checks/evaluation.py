"""Checks of the measured numbers: against the frozen base, the card's claims and the rows' expected answers."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dovetail.adapters.results import paired
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned
from dovetail.adapters.results.records import MAX_ITEMS
from dovetail.adapters.results.report import Evaluation, Outcome
from workers.engine.checks.claims import SIZE, Claim, bold, chance, claims_in, readings
from workers.engine.evals import task
from workers.engine.evals.codec import Row
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows import digest
from workers.engine.evals.task import Order
from workers.engine.trials.trial import Trial

ORDERED_BY = {
    "card": "The label_names in the card",
    "base": "The label names in the base's config",
    None: "The label numbers of the rows",
}
ORDER_FIX = "Set label_names in the card to that order, or number the labels of the rows in that order."
GUESSED = "Its labels are numbered alphabetically, which is a guess, so no number is compared."
NO_ROWS = "There are no labelled rows: add a smoke.jsonl beside the adapter to measure it."
FIX = "Check the training and the order of the labels; label numbers, or label_names in the card, make it unambiguous."
CLAIM_FIX = "Correct model-index in the card, or push the weights that reach it."
ROWS_FIX = "State in the args of the metric on how many rows it was measured, as num_examples."
FORGETS, GARBAGE = 2.0, 20.0  # times the base's loss on plain sentences
FORGETS_WORDS = 3.0  # likewise, for a language adapter, which may be for another language
AGREES = 0.9
HEAD_FIX = "Train the adapter longer or with a higher rank; if the head is enough, publish the head alone."


def worse_than_base(trial: Trial) -> str | Finding:
    metrics = measured(trial)
    if not metrics:
        return skipped(NO_ROWS)
    order = trial.rows.eval.better_order(trial.outputs)
    if trial.rows.guessed:
        return _guessed(trial, metrics[0], order)
    trial.evals += [_evaluation(trial, trial.rows.name, metric, trial.rows.rows) for metric in metrics]
    first, *others = metrics
    numbers = "; ".join(map(_sentence, metrics))
    where: dict[str, object] = {"metric": first.name, "base": first.base, "adapter": first.adapter, "rows": first.rows}
    outcome: Outcome = "warned" if trial.rows.doubt else "failed"
    if order is not None:
        numbers = (
            f"{numbers}. {ORDERED_BY[trial.rows.codec.labels_from]} are in a different order from the head's outputs"
        )
        where["label_names"] = order.names
    fix = f"{order.sentence} {ORDER_FIX}" if order else FIX
    if first.is_worse:
        other = "a guess without a model" if first.guess else "without"
        message = f"The adapter scores worse than {other}: {numbers}."
        return Finding("warned" if first.may_be_chance else outcome, message, fix, where)
    if order is not None:
        return Finding("warned", f"The adapter could score better: {numbers}.", fix, where)
    if beside_head := _beside_its_head(first, numbers, outcome, where):
        return beside_head
    if worse := [metric for metric in others if metric.is_worse and not metric.rough]:
        return Finding(outcome, f"The adapter scores worse than the base in {worse[0].name}: {numbers}.", fix, where)
    if (worse := [metric for metric in others if metric.is_worse]) and not first.guess:
        return Finding("warned", f"The adapter scores worse than the base in {worse[0].name}: {numbers}.", fix, where)
    return f"{numbers[0].upper()}{numbers[1:]}{_alone(first)}."


def _guessed(trial: Trial, first: Metric, order: Order | None) -> Finding:
    """Return the finding about label names that nobody numbers: their score would be that of our guess."""
    names = tuple(sorted(trial.rows.codec.labels))
    message = (
        f"The labels ({some(names)}) are numbered alphabetically, which is a guess, so no score is "
        f"published: in that order {first.name} would be {first.adapter:g} ({first.rows} rows)."
    )
    fix = "Write label_names into the card, in the order of the head's outputs."
    where: dict[str, object] = {"metric": first.name, "rows": first.rows, "labels_from": "alphabet"}
    if order is None:
        return Finding("warned", message, fix, where)
    return Finding("warned", message, f"{fix} {order.sentence}", {**where, "label_names": order.names})


def _beside_its_head(first: Metric, numbers: str, outcome: Outcome, where: dict[str, object]) -> Finding | None:
    """Return a finding if the adapter's own head on the frozen base does as well: then the adapter adds nothing."""
    alone = first.head_alone
    if alone is None or first.adapter > alone:
        return None
    where = {**where, "head_alone": alone}
    if first.adapter == alone:
        message = (
            f"Its head alone, on the frozen base, scores {alone:g} as well, so the adapter adds nothing: {numbers}."
        )
        return Finding("warned", message, HEAD_FIX, where)
    message = f"Its head alone, on the frozen base, scores {alone:g}, better than with the adapter: {numbers}"
    if not first.scores:
        certain = first.adapter < alone - max(0.05, 2 * math.sqrt(max(0.0, alone * (1 - alone)) / first.rows))
        return Finding(outcome if certain else "warned", f"{message}.", FIX, where)
    pair = paired.compare(first.scores, first.alone_scores, first.weights)
    # A number over all rows, such as F1, may fall while its rows rise: then the rows do not say that it is worse.
    certain = pair.lower < paired.ALPHA and pair.difference < 0
    message += f" ({paired.p_text(pair.lower)})."
    return Finding(outcome if certain else "warned", message, FIX, where | {"p": round(pair.lower, 6)})


def _alone(metric: Metric) -> str:
    if metric.head_alone is None:
        return ""
    by_chance = ""
    if metric.scores:
        pair = paired.compare(metric.scores, metric.alone_scores, metric.weights)
        by_chance = f", {paired.p_text(pair.two_sided)}"
    return f"; its head alone, on the frozen base, {metric.head_alone:g}{by_chance}"


def _sentence(metric: Metric) -> str:
    other = "a guess" if metric.guess else "the frozen base"
    bounds = f" ({metric.interval[0]:g} to {metric.interval[1]:g})" if metric.interval else ""
    return f"{metric.name} {metric.adapter:g}{bounds}, {other} {metric.base:g} ({metric.rows} rows)"


def claim(trial: Trial) -> str | Finding:
    """Hold what the card claims about these rows against what was measured; tell what cannot be held against it."""
    claims = claims_in(trial.folder.card or {}, trial.rows.name)
    metrics = measured(trial)
    if not metrics or trial.rows.guessed:
        return skipped(GUESSED if metrics else NO_ROWS)
    names = {name: metric for metric in metrics for name in readings(metric)}
    by_name = {name: [one for one in claims if one.name == name] for name in names}
    pairs = [(names[name], found) for name, named in by_name.items() if (found := bold(named, names[name]))]
    compared = [(metric, found) for metric, found in pairs if not found.data]
    beside = [
        f"{found.label} {found.value:g} on {found.data}; these rows gave {readings(metric)[found.name]:g}"
        for metric, found in pairs
        if found.data
    ]
    unknown = sorted({one.label for one in claims if one.name not in names})
    more = f" Not compared, because it was measured on other data: {'; '.join(beside)}." if beside else ""
    more += f" Not compared, because nothing here measures it: {some(unknown)}." if unknown else ""
    if not compared:
        return skipped(f"The card claims no {' or '.join(metric.name for metric in metrics)} on these rows.{more}")
    findings = [finding for metric, found in compared if (finding := _contradiction(trial, metric, found))]
    if findings:
        worst = min(findings, key=lambda finding: finding.outcome != "failed")
        return replace(worst, message=f"{worst.message}{more}")
    sentences = [
        f"{found.label} {found.value:g}, measured {readings(metric)[found.name]:g}" for metric, found in compared
    ]
    return f"The card claims {'; '.join(sentences)}.{more}"


def _contradiction(trial: Trial, metric: Metric, found: Claim) -> Finding | None:
    """Return a finding if an honest claim would seldom lie so far from what was measured."""
    p, of_many = chance(metric, found)
    if of_many >= SIZE:
        return None
    value = readings(metric)[found.name]
    of_rows = f" of {found.rows:,} rows" if found.rows else ""
    said = f"The card claims {found.label} {found.value:g}{of_rows}, but {metric.rows} rows gave {value:g}"
    where = {"metric": metric.name, "claimed": found.value, "measured": value, "p": round(p, 4)}
    if p < SIZE:
        outcome: Outcome = "warned" if metric.rough or trial.rows.doubt else "failed"
        return Finding(outcome, f"{said} ({paired.p_text(p)}).", CLAIM_FIX, where)
    if found.rows:
        return None
    message = (
        f"{said}: that is within chance only if the claim was measured on few rows, and the card does "
        "not say on how many."
    )
    return Finding("warned", message, ROWS_FIX, where)


def expected(trial: Trial) -> str | Finding:
    """Compare the adapter's outputs with the `expected` outputs that its author wrote into the rows."""
    outputs, rows = trial.outputs, trial.outputs.rows
    named = trial.rows.guessed  # a name says nothing then
    numbers = [at for at, row in enumerate(rows) if "expected" in row and not (named and _is_named(row["expected"]))]
    if not numbers:
        return skipped("No row has an expected answer.")
    answers = {at: trial.rows.eval.agrees(outputs, at) for at in numbers}
    judged = {at: answer for at, answer in answers.items() if answer is not None}
    if not judged:
        return warned(
            f"The expected answer of row {numbers[0] + 1} has a form that cannot be compared here.",
            "Give a list of logits or of label names, a label, or the text of an answer; docs/checks "
            "describes the forms.",
        )
    right = sum(judged.values())
    if right >= AGREES * len(judged):
        return f"In {right} of {len(judged)} rows the adapter gives the expected answer."
    wrong = [at + 1 for at, answer in judged.items() if not answer]
    return failed(
        f"In only {right} of {len(judged)} rows the adapter gives the expected answer; the first "
        f"mismatch is {wrong[0]}.",
        "Push the weights that gave these outputs, name the base they were made on, or update `expected` in the rows.",
        rows=wrong[:20],
    )


def _is_named(expected: Any) -> bool:
    return isinstance(expected, str) or (isinstance(expected, list) and any(isinstance(one, str) for one in expected))


def neutral(trial: Trial) -> str | Finding:
    """Check that a language model has not forgotten ordinary sentences."""
    outputs = trial.neutral
    if outputs is None:
        return skipped("Only language models are tested on plain sentences.")
    metric, *_ = trial.rows.eval.measure(outputs)
    trial.evals.append(_evaluation(trial, task.BUILTIN, metric, outputs.rows))
    ratio = metric.adapter / max(metric.base, 1e-6)
    most = FORGETS_WORDS if trial.rows.eval.task == "MASKED_LM" else FORGETS
    message = (
        f"On {metric.rows} plain English sentences the loss is {metric.adapter:g}, that of the frozen "
        f"base {metric.base:g}"
    )
    if ratio <= most:
        return f"{message}."
    fix = "Train for fewer steps or with a smaller learning rate; mix plain text into the training set."
    where = {"base": metric.base, "adapter": metric.adapter, "ratio": round(ratio, 2)}
    outcome: Outcome = "failed" if ratio > GARBAGE else "warned"
    return Finding(outcome, f"{message}, {ratio:.1f} times as high. It has forgotten what the base knew.", fix, where)


def degenerate(trial: Trial) -> str | Finding:
    """Look for faults that good numbers hide: one answer to everything, loops, empty texts, vectors all alike."""
    odd = trial.rows.eval.degenerate(trial.outputs) if trial.outputs.adapter else ""
    if trial.cannot_write:
        odd = f"It cannot generate text: generate() failed with {trial.cannot_write}."
    if odd:
        return warned(odd, "Look at the samples; train longer, with all labels, or with a smaller learning rate.")
    return f"Its answers to {len(trial.outputs.adapter)} rows look normal."


def measured(trial: Trial) -> list[Metric]:
    rows = trial.rows
    return [] if rows.source == "neutral" else rows.eval.measure(trial.outputs)


def _evaluation(trial: Trial, name: str, metric: Metric, rows: Sequence[Row]) -> Evaluation:
    by_row = bool(metric.scores) and len(metric.scores) <= MAX_ITEMS
    found = bold(claims_in(trial.folder.card or {}, name), metric) if name != task.BUILTIN else None
    return Evaluation(
        name,
        metric.rows,
        metric.name,
        metric.base,
        metric.adapter,
        claimed=found.value if found else None,
        claimed_on=(found.data or None) if found else None,
        better="higher" if metric.higher_is_better else "lower",
        head_alone=metric.head_alone,
        guess=metric.guess or None,
        interval=metric.interval,
        scores=tuple(metric.scores) if by_row else None,
        weights=tuple(metric.weights) if by_row and metric.weights else None,
        rows_sha256=digest(rows) if by_row else None,
        task=trial.rows.eval.task if by_row else None,
        confusion=tuple(map(tuple, metric.confusion)) if metric.confusion else None,
    )
