"""Tasks without a measure so far: what the model says of each token of the neutral rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals.rows import Batch, Eval, Metric, Row


def is_row(_: Row) -> bool:
    return False


def texts(_: Row) -> Sequence[tuple[str, str | None]]:
    return []


def read(answer: Any, batch: Batch) -> torch.Tensor:
    """Virtual tokens come first and are left out, padding counts as nothing."""
    said = torch.stack([answer.start_logits, answer.end_logits], -1) if "start_logits" in answer else answer.logits
    asked = batch.get("decoder_input_ids")
    weights = batch["attention_mask"] if asked is None else torch.ones_like(asked)
    return (said[:, -weights.shape[1] :] * weights[..., None]).flatten(1)


def measure(_: Sequence[Row], __: torch.Tensor, ___: torch.Tensor, ____: Mapping[str, int]) -> Metric | None:
    return None


TOKEN_CLASSIFICATION = Eval("TOKEN_CLS", is_row, texts, read, measure)
QUESTION_ANSWERING = Eval("QUESTION_ANS", is_row, texts, read, measure)
SEQUENCE_TO_SEQUENCE = Eval("SEQ_2_SEQ_LM", is_row, texts, read, measure)
