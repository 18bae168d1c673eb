"""The evaluations, one task a file: the rows of a task, the reading of a model's answer, and the metrics."""

from __future__ import annotations

from workers.engine.evals import (
    causal,
    ctc,
    feature_extraction,
    image_classification,
    masked,
    question_answering,
    sequence_classification,
    sequence_to_sequence,
    token_classification,
)
from workers.engine.evals.task import Eval

EVALS: tuple[Eval, ...] = (
    sequence_classification.EVAL,
    feature_extraction.EVAL,
    causal.EVAL,
    token_classification.EVAL,
    question_answering.EVAL,
    sequence_to_sequence.EVAL,
    masked.EVAL,
    image_classification.EVAL,
    ctc.EVAL,
)


def eval_of(task: str) -> Eval:
    return next(evaluation for evaluation in EVALS if evaluation.task == task)
