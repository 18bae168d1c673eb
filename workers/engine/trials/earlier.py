"""Runs an adapter on the rows of earlier versions too, so that it is compared on rows that it did not bring itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from dovetail.adapters.results.records import MAX_ITEMS
from dovetail.adapters.results.report import EarlierRows, Evaluation
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows.choice import labels_of
from workers.engine.evals.rows.rows import Rows, RowsError, digest, written
from workers.engine.evals.task import Outputs
from workers.engine.job import Job
from workers.engine.trials.composed import SIDE_BY_SIDE
from workers.engine.trials.trial import Trial

MAX_SETS = 2
SHARE = 0.2  # of the processor time that a validation may take
LATEST = 0.8  # of that time: the adapter must never fail by its limit because of rows of others
MAX_REASON = 300
# Of libraries that get rows of others: they must not end the adapter's own stage.
FAULTS = (
    RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, MemoryError,
)  # fmt: skip


def on_earlier_rows(trial: Trial, job: Job, began: float) -> Iterator[EarlierRows]:
    """Yield the adapter's numbers on each set of the job's earlier rows, which are no part of what it is judged by.

    `began` is the processor time at which the adapter's stage began. Rows that raise are left out, with the reason.
    """
    room = min(SHARE * job.seconds, LATEST * job.seconds - (time.process_time() - began))
    deadline = time.process_time() + room
    for given in job.earlier[:MAX_SETS]:
        revision = str(given["revision"])
        try:
            rows = _prepared(trial, given)
            if trial.rows.rows and digest(rows.rows) == digest(trial.rows.rows):
                continue  # they are its own
            yield EarlierRows(revision, _evaluation(rows, _measure(trial, rows, deadline)))
        except RowsError as problem:
            yield EarlierRows(revision, left_out=str(problem)[:MAX_REASON])
        except FAULTS as problem:
            yield EarlierRows(revision, left_out=f"running them ended with {type(problem).__name__}")


def _prepared(trial: Trial, given: Mapping[str, Any]) -> Rows:
    """Return the rows for the task of this adapter. Raises `RowsError` where they are no rows for it."""
    evaluation, card = trial.rows.eval, trial.folder.card or {}
    if evaluation is SIDE_BY_SIDE:
        raise RowsError("its set-up splits its input")
    names = card.get("label_names")
    card = {**card, "label_names": names if isinstance(names, list) else given.get("label_names")}
    rows = written(
        str(given["rows"]).encode(), card, trial.frozen, evaluation, labels_of(trial.folder, trial.labels)
    )  # fmt: skip
    if rows is None:
        raise RowsError("the base has no tokenizer")
    if rows.guessed or rows.unused:
        whose = "not among the label_names of its card" if isinstance(names, list) else "numbered by nobody"
        raise RowsError(f"their labels are {whose}")
    return rows


def _measure(trial: Trial, rows: Rows, deadline: float) -> Metric:
    """Return the number that decides. Raises `RowsError` without one, and if the time is up."""
    lines: list[torch.Tensor] = []
    with torch.inference_mode():
        for answers in rows.answers(trial.model):
            lines += answers
            if time.process_time() > deadline and len(lines) < len(rows.rows):
                raise RowsError("they take longer than the share of a validation's time that is for them")
    adapter = rows.in_order(lines)
    # The base is not run on them: only the adapter's numbers are compared, row by row.
    metrics = rows.eval.measure(Outputs(rows.rows, rows.codec, adapter, adapter, rows.facts))
    if not metrics or not 0 < len(metrics[0].scores) <= MAX_ITEMS:
        raise RowsError("they give no number row by row")
    return metrics[0]


def _evaluation(rows: Rows, metric: Metric) -> Evaluation:
    return Evaluation(
        "earlier",
        metric.rows,
        metric.name,
        adapter=metric.adapter,
        better="higher" if metric.higher_is_better else "lower",
        scores=tuple(metric.scores),
        weights=tuple(metric.weights) if metric.weights else None,
        rows_sha256=digest(rows.rows),
        task=rows.eval.task,
    )
