"""How an adapter is measured, one task a file: which rows, what is read from the model, which number."""

from __future__ import annotations

from workers.engine.evals import causal, feature_extraction, other, sequence_classification
from workers.engine.evals.rows import Eval

EVALS: tuple[Eval, ...] = (
    sequence_classification.EVAL,
    feature_extraction.EVAL,
    causal.EVAL,
    other.TOKEN_CLASSIFICATION,
    other.QUESTION_ANSWERING,
    other.SEQUENCE_TO_SEQUENCE,
)


def of(task: str) -> Eval:
    return next(evaluation for evaluation in EVALS if evaluation.task == task)
