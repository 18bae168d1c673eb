"""The evaluations, one task a file: the rows of a task, the reading of a model's answer, and the metrics."""

from __future__ import annotations

from workers.engine.evals import classification, feature_extraction, language_modeling, words
from workers.engine.evals.task import Eval

EVALS: tuple[Eval, ...] = (
    classification.SEQUENCE,
    feature_extraction.EVAL,
    language_modeling.CAUSAL,
    words.TOKEN_CLASSIFICATION,
    words.QUESTION_ANSWERING,
    language_modeling.SEQUENCE_TO_SEQUENCE,
    language_modeling.MASKED,
    classification.IMAGE,
    classification.CTC,
)


def eval_of(task: str) -> Eval:
    return next(evaluation for evaluation in EVALS if evaluation.task == task)
