"""Causal language models: the loss of each next token, and sixteen tokens written greedily from the start of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree, spread

REPEATS = 0.2  # distinct pairs of words below which a text is a loop


class Causal(Eval):
    """A line is the logits of the last token, then the mean loss of the text."""

    task = "CAUSAL_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """Cut virtual tokens and read row by row: a second copy of all logits would take the most memory."""
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        logits = answer.logits[:, -mask.shape[1] :]
        return [_line(logits[at, :count], ids[at, :count]) for at, count in enumerate(mask.sum(1).tolist())]

    def measure(self, outputs: Outputs) -> list[Metric]:
        base, adapter = (measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
                         for lines in (outputs.base, outputs.adapter))  # fmt: skip
        rows, scores = len(outputs.base), last_numbers(outputs.adapter)
        bounds = measures.mean_interval(scores)
        of_perplexity = (_perplexity(bounds[0]), _perplexity(bounds[1])) if bounds else None
        return [
            Metric("loss", base, adapter, rows, higher_is_better=False, scores=scores, interval=bounds),
            Metric(
                "perplexity",
                _perplexity(base),
                _perplexity(adapter),
                rows,
                higher_is_better=False,
                rough=True,
                interval=of_perplexity,
            ),
        ]

    def prompts(self, outputs: Outputs) -> Mapping[int, str]:
        """Return the first half of each text's words, or all of them if the row has `expected`."""
        return {at: _prompt(outputs.rows[at]) for at in spread(len(outputs.rows))}

    def degenerate(self, outputs: Outputs) -> str:
        return looping(outputs)

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        base, adapter = outputs.written.get(at, ("", ""))
        return _prompt(outputs.rows[at]), _rest(outputs.rows[at]), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        expected = outputs.rows[at]["expected"]
        if not isinstance(expected, str):
            return numbers_agree(expected, outputs.adapter[at][:-1])
        return same_start(outputs.written[at][1], expected) if at in outputs.written else None


def _line(logits: torch.Tensor, ids: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits[:-1].float(), ids[1:]) if len(ids) > 1 else logits.new_zeros(())
    return torch.cat([logits[-1].float(), loss[None]])


def last_numbers(lines: Sequence[Line]) -> list[float]:
    """Return the loss of each row, which is the last number of its line."""
    return [measures.bounded(float(line[-1])) for line in lines]


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


def looping(outputs: Outputs) -> str:
    """Return a sentence if the adapter repeats itself where the base does not, else ""."""
    looped = [base for base, adapter in outputs.written.values() if measures.distinct_pairs(adapter) <= REPEATS]
    if looped and 2 * len(looped) > len(outputs.written) and all(measures.distinct_pairs(t) > REPEATS for t in looped):
        return f"It repeats itself without end in {len(looped)} of {len(outputs.written)} texts; the base does not."
    return ""


def same_start(text: str, expected: str) -> bool:
    """Compare word for word, up to the end of the shorter text, whose last word may be cut off."""
    text_words, expected_words = text.split(), expected.split()
    length = min(len(text_words), len(expected_words))
    return bool(length) and text_words[: max(1, length - 1)] == expected_words[: max(1, length - 1)]


EVAL = Causal()
