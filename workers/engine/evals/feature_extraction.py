"""Feature extraction: mean-pooled embeddings; triplets by the nearer one, scored pairs by rank correlation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals.rows import Batch, Eval, Metric, Row, is_real

TRIPLET = ("anchor", "positive", "negative")


def is_triplet(row: Row) -> bool:
    return all(isinstance(row.get(key), str) for key in TRIPLET)


def is_row(row: Row) -> bool:
    scored = isinstance(row.get("text"), str) and isinstance(row.get("text_pair"), str)
    return is_triplet(row) or (scored and is_real(row.get("score")))


def texts(row: Row) -> Sequence[tuple[str, str | None]]:
    keys = TRIPLET if is_triplet(row) else ("text", "text_pair")
    return [(row[key], None) for key in keys]


def read(answer: Any, batch: Batch) -> torch.Tensor:
    """Virtual tokens come first and are left out; an encoder-decoder answers for the tokens its decoder was given."""
    asked = batch.get("decoder_input_ids")
    mask = batch["attention_mask"] if asked is None else torch.ones_like(asked)
    hidden = answer.last_hidden_state[:, -mask.shape[1] :]
    weights = mask[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def measure(rows: Sequence[Row], base: torch.Tensor, adapter: torch.Tensor, _: Mapping[str, int]) -> Metric | None:
    if all(is_triplet(row) for row in rows):
        return Metric("triplet-accuracy", _nearer(base), _nearer(adapter), len(rows))
    if len(rows) < 3 or any(is_triplet(row) for row in rows):
        return None
    scores = torch.tensor([float(row["score"]) for row in rows])
    return Metric("spearman", _correlation(base, scores), _correlation(adapter, scores), len(rows))


def _nearer(vectors: torch.Tensor) -> float:
    anchor, positive, negative = torch.nn.functional.normalize(vectors, dim=-1).view(-1, 3, vectors.shape[-1]).unbind(1)
    share = ((anchor * positive).sum(-1) > (anchor * negative).sum(-1)).float().mean()
    return round(float(share.item()), 4)


def _correlation(vectors: torch.Tensor, scores: torch.Tensor) -> float:
    one, other = torch.nn.functional.normalize(vectors, dim=-1).view(-1, 2, vectors.shape[-1]).unbind(1)
    pairs = torch.stack([_ranks((one * other).sum(-1)), _ranks(scores)])
    found = torch.corrcoef(pairs)[0, 1].item()
    return round(found, 4) if found == found else 0.0


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Ranks from 0; equal values share the mean of theirs."""
    less = (values[:, None] > values[None, :]).sum(1).float()
    equal = (values[:, None] == values[None, :]).sum(1).float()
    return less + (equal - 1) / 2


EVAL = Eval("FEATURE_EXTRACTION", is_row, texts, read, measure)
