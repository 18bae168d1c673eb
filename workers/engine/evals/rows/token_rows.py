"""Puts the tokens that an adapter trains into rows, since sentences of ours seldom have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from workers.engine.evals.codec import Batch
from workers.engine.evals.rows.rows import Rows

MOST = 64  # tokens that are put in: each adapter that trains more is felt by these


def with_tokens(rows: Rows, ids: Sequence[int]) -> Rows | None:
    """Return the rows with every other token replaced by a trained one; None for a base that reads no tokens."""
    if not all("input_ids" in batch.inputs for batch in rows.batches):
        return None
    return replace(rows, batches=[_replaced(batch, ids[:MOST]) for batch in rows.batches])


def _replaced(batch: Batch, ids: Sequence[int]) -> Batch:
    """Leave the first token, which may open a text, and padding."""
    tokens = batch.inputs["input_ids"].clone()
    mask = batch.inputs.get("attention_mask", torch.ones_like(tokens)).bool()
    places = mask & (torch.arange(tokens.shape[1]) % 2 == 1)
    count = int(places.sum())
    tokens[places] = torch.tensor(ids).repeat(count // len(ids) + 1)[:count]
    return replace(batch, inputs={**batch.inputs, "input_ids": tokens})
