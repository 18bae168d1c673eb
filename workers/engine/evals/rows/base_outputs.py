"""Keeps the base's outputs for our own rows in the warm parent, so that children need not compute them again.

They come from our rows and a model without an adapter: no uploaded byte influences them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workers.engine.evals import eval_of, masked
from workers.engine.evals.generation import CannotWrite, write
from workers.engine.evals.rows.rows import Rows, neutral
from workers.engine.evals.task import Eval, Line, Outputs
from workers.engine.models import library
from workers.engine.models.frozen import Frozen

OWN_HEADS = ("FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM", masked.EVAL.task)

_known: dict[tuple[str, str, str], BaseOutputs] = {}


@dataclass(frozen=True, slots=True)
class BaseOutputs:
    """Our rows with a base's outputs, in the order of the batches, and its generated texts by the row's number."""

    rows: Rows
    lines: list[Line]
    first_s: float
    written: Mapping[int, str]


def learn(frozen: Frozen, task: str) -> None:
    """Run the base on our rows for a task, once."""
    for evaluation in _evaluations(frozen, task):
        if (frozen.sha256, task, evaluation.task) not in _known:
            _known[frozen.sha256, task, evaluation.task] = _ask(frozen, task, evaluation)


def recall(frozen: Frozen, task: str, evaluation: Eval) -> BaseOutputs | None:
    """Return the outputs of a task's model for the rows of an evaluation; None if it was not run."""
    return _known.get((frozen.sha256, task, evaluation.task))


def _evaluations(frozen: Frozen, task: str) -> list[Eval]:
    if task != library.TASK:
        return [eval_of(task)] if task in OWN_HEADS else []
    model = frozen.model(task)
    fills = [masked.EVAL] if masked.can_fill(model, frozen.tokenizer) else []
    return [*fills, eval_of("FEATURE_EXTRACTION")]


def _ask(frozen: Frozen, task: str, evaluation: Eval) -> BaseOutputs:
    model: Any = frozen.model(task)
    if task == library.TASK:
        model.active_head = None
    rows = neutral(frozen, evaluation)
    lines: list[Line] = []
    marks = [time.perf_counter()]
    with torch.inference_mode():
        for answer in rows.answers(model):
            lines += answer
            marks.append(time.perf_counter())
    outputs = Outputs(rows.rows, rows.codec, (), (), ())
    prompts = evaluation.prompts(outputs) if rows.rows else {}
    try:
        written = write(model, rows.codec, prompts) if prompts else {}
    except CannotWrite:  # it cannot with an adapter either, and the trial reports that
        written = {}
    return BaseOutputs(rows, lines, marks[1] - marks[0], written)
