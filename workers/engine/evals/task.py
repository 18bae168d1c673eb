"""The interface of every task: which rows it takes, how a model is asked and read, what is counted, what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from workers.engine.evals import builtin
from workers.engine.evals.desk import Batch, Desk, Row
from workers.engine.evals.measures import Metric

Line: TypeAlias = torch.Tensor  # what a model says of one row


@dataclass(frozen=True, slots=True)
class Seen:
    """The outputs of base and adapter for the rows, in their order, and the texts of both by the row's number."""

    rows: Sequence[Row]
    desk: Desk
    base: Sequence[Line]
    adapter: Sequence[Line]
    facts: Sequence[Any]  # of each row, what its batch knew of it; None where there is nothing
    written: Mapping[int, tuple[str, str]] = field(default_factory=dict)


class Eval:
    """One task. Subclasses say what is different; a line is one tensor a row, of whatever shape the task needs."""

    task = ""
    most = 256  # rows that are run: a row of text to predict costs more than one of a few labels
    builtin: Sequence[Row] = builtin.TEXT
    shifts_itself = False  # whether an encoder-decoder makes its decoder's input of the encoder's, as under a head
    measures_neutral = False  # whether rows without labels measure something

    def is_row(self, row: Row) -> bool:
        raise NotImplementedError

    def problem(self, rows: Sequence[Row], desk: Desk) -> str:
        """Why rows that look right cannot be used with this head, or nothing."""
        return ""

    def size(self, row: Row) -> int:
        """How long a row is, for putting like beside like."""
        return len(str(row.get("text", ""))) + len(str(row.get("text_pair") or ""))

    def batch(self, desk: Desk, rows: Sequence[Row]) -> Batch:
        texts = [[str(row["text"]) for row in rows]]
        if any(row.get("text_pair") for row in rows):
            texts.append([str(row.get("text_pair") or "") for row in rows])
        return Batch(desk.inputs(desk.tokens(*texts)))

    def ask(self, model: Any, batch: Batch) -> Any:
        return model(**batch.inputs)

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """What is said of each token of a row; virtual tokens come first and are cut, padding counts for nothing."""
        weights = batch.weights.bool()
        said = answer.logits[:, -weights.shape[1] :]
        return [line[mask] for line, mask in zip(said, weights, strict=True)]

    def measure(self, seen: Seen) -> list[Metric]:
        """The metrics, the one that decides first; none where these rows measure nothing."""
        return []

    def degenerate(self, seen: Seen) -> str:
        """Return a sentence about suspicious answers, even if they are right; "" if there are none."""
        return ""

    def prompts(self, seen: Seen) -> Mapping[int, str]:
        """Return the prompts that base and adapter continue, by the row's number; empty if a task writes no text."""
        return {}

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        """For people: the input of a row, what it should be ("" if nobody says), what base and adapter say."""
        raise NotImplementedError

    def agrees(self, seen: Seen, at: int) -> bool | None:
        """Whether the adapter said what the row's `expected` says; None where that has no form known here."""
        return numbers_agree(seen.rows[at]["expected"], seen.adapter[at])


TOLERANCE = 0.01  # of the largest number expected: what another machine or dtype may make of the same weights


def numbers_agree(expected: Any, line: Line) -> bool | None:
    """Whether a list of numbers is, to rounding, what the model said; None when it is no such list."""
    try:
        wanted = torch.tensor(expected, dtype=torch.float32).flatten()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    if wanted.numel() == 0 or isinstance(expected, bool | int | float | str):
        return None
    if wanted.numel() != line.numel():
        return False
    room = TOLERANCE * max(1.0, wanted.abs().max().item())
    return bool((wanted - line.flatten()).abs().max() <= room)


def spread(count: int, most: int = 4) -> list[int]:
    """A few numbers of `count`, evenly apart: rows are often sorted by label."""
    wanted = min(count, most)
    return sorted({round(at * (count - 1) / max(1, wanted - 1)) for at in range(wanted)})
