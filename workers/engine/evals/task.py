"""The interface of every task: its rows, how a model is run and its answer read, the metrics and the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from workers.engine.evals.codec import Batch, Codec, Row
from workers.engine.evals.measures import Metric
from workers.engine.evals.orders import Order
from workers.engine.evals.rows import builtin

Line: TypeAlias = torch.Tensor  # a model's output for one row


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of base and adapter for the rows, in their order, and the texts of both by the row's number."""

    rows: Sequence[Row]
    codec: Codec
    base: Sequence[Line]
    adapter: Sequence[Line]
    facts: Sequence[Any]  # of each row, from its batch; None if there are none
    written: Mapping[int, tuple[str, str]] = field(default_factory=dict)


class Eval:
    """One task. Subclasses override what differs; a line is one tensor a row, in the shape that the task needs."""

    task = ""
    most = 256  # rows that are run: predicting text costs more than predicting a label
    builtin: Sequence[Row] = builtin.TEXT
    shifts_itself = False  # an encoder-decoder derives its decoder's input from the encoder's, as under a head
    measures_neutral = False  # rows without labels measure something

    def is_row(self, row: Row) -> bool:
        raise NotImplementedError

    def problem(self, rows: Sequence[Row], codec: Codec) -> str:
        """Return the reason why well-formed rows cannot be used with this head, or ""."""
        return ""

    def size(self, row: Row) -> int:
        """Return the length of a row, for batches of similar rows."""
        return len(str(row.get("text", ""))) + len(str(row.get("text_pair") or ""))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        texts = [[str(row["text"]) for row in rows]]
        if any(row.get("text_pair") for row in rows):
            texts.append([str(row.get("text_pair") or "") for row in rows])
        return Batch(codec.inputs(codec.tokens(*texts)))

    def ask(self, model: Any, batch: Batch) -> Any:
        return model(**batch.inputs)

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Return the output of each token of a row; virtual tokens come first and are cut, padding is left out."""
        weights = batch.weights.bool()
        logits = answer.logits[:, -weights.shape[1] :]
        return [line[mask] for line, mask in zip(logits, weights, strict=True)]

    def measure(self, outputs: Outputs) -> list[Metric]:
        """Return the metrics, the deciding one first; none if these rows measure nothing."""
        return []

    def degenerate(self, outputs: Outputs) -> str:
        """Return a sentence about suspicious answers, even if they are right; "" if there are none."""
        return ""

    def better_order(self, outputs: Outputs) -> Order | None:
        """Return an order of labels by which far more answers are right, None if there is none."""
        return None

    def prompts(self, outputs: Outputs) -> Mapping[int, str]:
        """Return the prompts that base and adapter continue, by the row's number; empty if a task writes no text."""
        return {}

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        """Return texts for people: a row's input, the expected answer or "", and those of base and adapter."""
        raise NotImplementedError

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        """Return whether the adapter's answer is the row's `expected`; None if that has an unknown form."""
        return numbers_agree(outputs.rows[at]["expected"], outputs.adapter[at])


TOLERANCE = 0.01  # relative to the largest expected number: the same weights on another machine or in another dtype


def numbers_agree(expected: Any, line: Line) -> bool | None:
    """Return whether a list of numbers equals the model's output up to rounding; None if it is not such a list."""
    try:
        numbers = torch.tensor(expected, dtype=torch.float32).flatten()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    if numbers.numel() == 0 or isinstance(expected, bool | int | float | str):
        return None
    if numbers.numel() != line.numel():
        return False
    room = TOLERANCE * max(1.0, numbers.abs().max().item())
    return bool((numbers - line.flatten()).abs().max() <= room)


def spread(count: int, most: int = 4) -> list[int]:
    """Return up to `most` row numbers below `count`, evenly apart: rows are often sorted by label."""
    chosen = min(count, most)
    return sorted({round(at * (count - 1) / max(1, chosen - 1)) for at in range(chosen)})
