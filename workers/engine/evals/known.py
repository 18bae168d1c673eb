"""The base's outputs for our own rows, kept in the warm parent: its children need not ask again.

Only rows of ours and models without an adapter: no byte of a stranger is behind any of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workers.engine import library
from workers.engine.evals import masked, of
from workers.engine.evals.generation import CannotWrite, write
from workers.engine.evals.rows import Rows, neutral
from workers.engine.evals.task import Eval, Line, Seen
from workers.engine.frozen import Frozen

OWN_HEADS = ("FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM", masked.EVAL.task)

_known: dict[tuple[str, str, str], Known] = {}


@dataclass(frozen=True, slots=True)
class Known:
    """Rows of ours, what a base says of them in the order of its batches, and what it writes."""

    rows: Rows
    lines: list[Line]
    first_s: float
    written: Mapping[int, str]


def learn(frozen: Frozen, task: str) -> None:
    """Asks the base what it says of our rows for a task, once."""
    for evaluation in _evaluations(frozen, task):
        if (frozen.sha256, task, evaluation.task) not in _known:
            _known[frozen.sha256, task, evaluation.task] = _ask(frozen, task, evaluation)


def recall(frozen: Frozen, task: str, evaluation: Eval) -> Known | None:
    """Return the outputs of a task's model for the rows of an evaluation; None if it was not run."""
    return _known.get((frozen.sha256, task, evaluation.task))


def _evaluations(frozen: Frozen, task: str) -> list[Eval]:
    if task != library.TASK:
        return [of(task)] if task in OWN_HEADS else []
    model = frozen.model(task)
    fills = [masked.EVAL] if masked.can_fill(model, frozen.tokenizer) else []
    return [*fills, of("FEATURE_EXTRACTION")]


def _ask(frozen: Frozen, task: str, evaluation: Eval) -> Known:
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
    seen = Seen(rows.rows, rows.desk, (), (), ())
    prompts = evaluation.prompts(seen) if rows.rows else {}
    try:
        written = write(model, rows.desk, prompts) if prompts else {}
    except CannotWrite:  # nor will it with an adapter: the trial says so
        written = {}
    return Known(rows, lines, marks[1] - marks[0], written)
