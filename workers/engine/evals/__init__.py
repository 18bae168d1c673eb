"""How an adapter is measured, one task a file: which rows, what is read from the model, which number."""

from __future__ import annotations

from workers.engine.evals import causal, feature_extraction, sequence_classification
from workers.engine.evals.rows import Eval

EVALS: tuple[Eval, ...] = (sequence_classification.EVAL, feature_extraction.EVAL, causal.EVAL)
