"""Causal language models: the loss of each next token, and sixteen tokens written greedily from the start of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.desk import Batch, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree, spread

REPEATS = 0.2  # distinct pairs of words below which a text is a loop


class Causal(Eval):
    """A line is the logits of the last token, then the mean loss of the text."""

    task = "CAUSAL_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Virtual tokens are cut. Row by row: a second copy of all logits would be the largest thing here."""
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        logits = answer.logits[:, -mask.shape[1] :]
        return [_line(logits[at, :count], ids[at, :count]) for at, count in enumerate(mask.sum(1).tolist())]

    def measure(self, seen: Seen) -> list[Metric]:
        base, adapter = (measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
                         for lines in (seen.base, seen.adapter))  # fmt: skip
        rows = len(seen.base)
        return [
            Metric("loss", base, adapter, rows, higher_is_better=False),
            Metric("perplexity", _perplexity(base), _perplexity(adapter), rows, higher_is_better=False, rough=True),
        ]

    def prompts(self, seen: Seen) -> Mapping[int, str]:
        """The first half of the words, all of them where the row says what should follow."""
        return {at: _prompt(seen.rows[at]) for at in spread(len(seen.rows))}

    def degenerate(self, seen: Seen) -> str:
        return looping(seen)

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        base, adapter = seen.written.get(at, ("", ""))
        return _prompt(seen.rows[at]), _rest(seen.rows[at]), base, adapter

    def agrees(self, seen: Seen, at: int) -> bool | None:
        wanted = seen.rows[at]["expected"]
        if not isinstance(wanted, str):
            return numbers_agree(wanted, seen.adapter[at][:-1])
        return same_start(seen.written[at][1], wanted) if at in seen.written else None


def _line(logits: torch.Tensor, ids: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits[:-1].float(), ids[1:]) if len(ids) > 1 else logits.new_zeros(())
    return torch.cat([logits[-1].float(), loss[None]])


def _perplexity(loss: float) -> float:
    return measures.bounded(math.exp(min(loss, 30.0)))


def _prompt(row: Row) -> str:
    text: str = row["text"]
    words = text.split()
    return text if "expected" in row or len(words) < 2 else " ".join(words[: (len(words) + 1) // 2])


def _rest(row: Row) -> str:
    if "expected" in row:
        return row["expected"] if isinstance(row["expected"], str) else ""
    return str(row["text"])[len(_prompt(row)) :].strip()


def looping(seen: Seen) -> str:
    """Whether the adapter repeats itself where the base does not."""
    looped = [base for base, adapter in seen.written.values() if measures.distinct_pairs(adapter) <= REPEATS]
    if looped and 2 * len(looped) > len(seen.written) and all(measures.distinct_pairs(t) > REPEATS for t in looped):
        return f"It repeats itself without end in {len(looped)} of {len(seen.written)} texts; the base does not."
    return ""


def same_start(found: str, wanted: str) -> bool:
    """Word for word, as far as the shorter one goes; the last word may be cut."""
    one, other = found.split(), wanted.split()
    length = min(len(one), len(other))
    return bool(length) and one[: max(1, length - 1)] == other[: max(1, length - 1)]


EVAL = Causal()
