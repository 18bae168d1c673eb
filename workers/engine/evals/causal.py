"""Causal language models: what the model says of each next token; measured by the loss on the author's texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals.rows import Batch, Eval, Metric, Row


def is_row(row: Row) -> bool:
    return isinstance(row.get("text"), str) and bool(row["text"].strip())


def texts(row: Row) -> Sequence[tuple[str, str | None]]:
    return [(row["text"], None)]


def read(answer: Any, batch: Batch) -> torch.Tensor:
    """One vector a text: the logits at its last token, then its mean loss. Virtual tokens are cut."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    logits = answer.logits[:, -mask.shape[1] :]
    at_last = logits[torch.arange(len(ids)), mask.sum(1) - 1]
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    weights = mask[:, 1:].to(losses.dtype)
    mean = (losses * weights).sum(1) / weights.sum(1).clamp(min=1)
    return torch.cat([at_last, mean[:, None]], dim=1)


def measure(rows: Sequence[Row], base: torch.Tensor, adapter: torch.Tensor, _: Mapping[str, int]) -> Metric | None:
    losses = [round(output[:, -1].mean().item(), 4) for output in (base, adapter)]
    return Metric("loss", losses[0], losses[1], len(rows), higher_is_better=False)


EVAL = Eval("CAUSAL_LM", is_row, texts, read, measure)
