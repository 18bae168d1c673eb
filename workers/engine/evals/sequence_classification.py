"""Sequence classification: accuracy. The frozen base has no trained head, so its number is the best guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals.rows import Batch, Eval, Metric, Row, is_count


def is_row(row: Row) -> bool:
    pair, label = row.get("text_pair"), row.get("label")
    labelled = isinstance(label, str) or is_count(label)
    return isinstance(row.get("text"), str) and labelled and isinstance(pair, str | None)


def texts(row: Row) -> Sequence[tuple[str, str | None]]:
    return [(row["text"], row.get("text_pair"))]


def read(answer: Any, _: Batch) -> torch.Tensor:
    logits: torch.Tensor = answer.logits
    return logits


def measure(rows: Sequence[Row], base: torch.Tensor, adapter: torch.Tensor, labels: Mapping[str, int]) -> Metric | None:
    wanted = torch.tensor(
        [labels.get(row["label"], -1) if isinstance(row["label"], str) else row["label"] for row in rows]
    )
    if base.shape[-1] < 2:
        return None
    common = Counter(wanted.tolist()).most_common(1)[0][1] / len(rows)
    alone, adapted = _accuracy(base, wanted), _accuracy(adapter, wanted)
    return Metric("accuracy", round(common, 4), adapted, len(rows), head_alone=alone)


def _accuracy(logits: torch.Tensor, wanted: torch.Tensor) -> float:
    return round(float((logits.argmax(-1) == wanted).float().mean().item()), 4)


EVAL = Eval("SEQ_CLS", is_row, texts, read, measure)
