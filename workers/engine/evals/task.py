"""The interface of every task: its rows, how a model is run and its answer read, the metrics and the samples.

The built-in rows are for adapters that bring none: plain English, written for this project and in the public domain
(CC0). They have no labels, so they measure only a language model's loss on ordinary sentences; for other tasks they
only run the adapter. An order of labels is looked for by which answers are right where the head's order is not.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from dovetail.adapters.results import paired
from dovetail.adapters.results.report import Sample
from workers.engine.evals.codec import Batch, Codec, Row
from workers.engine.evals.measures import Metric

SURE = 0.01  # the chance, over all orders, that answers which have nothing to do with an order fit it so much better


@dataclass(frozen=True, slots=True)
class Order:
    """Label names in the order of the head's outputs, and the share of rows (or words) that are right by it."""

    names: tuple[str, ...]
    share: float

    @property
    def sentence(self) -> str:
        return (
            f"With the labels in the order {', '.join(self.names)} it would be right in {self.share:.0%} of the rows."
        )


def better_order(expected: Sequence[int], predicted: Sequence[int], codec: Codec) -> Order | None:
    """Return the order in which each label stands for the output that answers it most; None if it's not clearly better.

    Both orders are compared answer by answer (McNemar's exact test), times the number of orders that there are.
    """
    labels = sorted(set(expected) - {-1})
    pairs = Counter(zip(expected, predicted, strict=True))
    answers = {label: [pairs[label, output] for output in range(codec.count)] for label in labels}
    outputs = {label: counts.index(max(counts)) for label, counts in answers.items()}
    if len(labels) < 2 or len(set(outputs.values())) < len(labels):
        return None
    scores = [float(outputs.get(label) == answer) for label, answer in zip(expected, predicted, strict=True)]
    before = [float(label == answer) for label, answer in zip(expected, predicted, strict=True)]
    orders = math.lgamma(codec.count + 1) - math.lgamma(codec.count - len(labels) + 1)
    by_chance = paired.compare(scores, before).higher
    if outputs == {label: label for label in labels} or math.log(by_chance) + orders > math.log(SURE):
        return None
    named = {output: codec.name(label, guessed=True) for label, output in outputs.items()}
    names = tuple(named.get(output, f"output {output}") for output in range(codec.count))
    return Order(names, sum(scores) / len(scores))


BUILTIN = "neutral"
SENTENCES = (
    "The train leaves the station at seven in the morning.",
    "Water boils at a lower temperature on a mountain.",
    "She put the keys next to the lamp and closed the door.",
    "A list of names was printed on the second page.",
    "How long does it take to walk from the harbour to the market?",
    "The function returns the sum of both numbers.",
    "They painted the fence green before the rain came.",
    "In autumn the days grow shorter and the nights longer.",
)
QUESTIONS = (
    ("When does the train leave?", "The train to the coast leaves the station at seven in the morning."),
    ("What colour is the fence?", "Before the rain came they painted the fence green and the gate white."),
    ("Where are the keys?", "She came home late, put the keys next to the lamp and closed the door."),
    ("Who repaired the bridge?", "The bridge was closed for a year until workers from the valley repaired it."),
)
TEXT = tuple({"text": sentence} for sentence in SENTENCES)
TOKENS = tuple({"tokens": [*sentence[:-1].split(), sentence[-1]]} for sentence in SENTENCES)
QUESTION_ROWS = tuple({"question": question, "context": context} for question, context in QUESTIONS)


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
    builtin: Sequence[Row] = TEXT
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


MOST_SAMPLES, MOST_WRONG = 4, 20
LONGEST_SAMPLE = 300


def samples_of(evaluation: Eval, outputs: Outputs, shares: Sequence[float] = ()) -> tuple[Sample, ...]:
    """Return rows evenly apart, or those with generated texts; and then others that are wrong.

    `shares` says of each row how much of it is right. `expected` is None if no row says what is right.
    """
    chosen = [sorted(outputs.written)[at] for at in spread(len(outputs.written), MOST_SAMPLES)] or spread(
        len(outputs.rows), MOST_SAMPLES
    )
    wrong = [at for at, share in enumerate(shares) if share < 1 and at not in chosen][:MOST_WRONG]
    return tuple(_sample(at, *evaluation.sample(outputs, at)) for at in (*chosen, *wrong))


def _sample(at: int, text: str, expected: str, base: str, adapter: str) -> Sample:
    return Sample(_cut(text), _cut(expected) if expected else None, _cut(base), _cut(adapter), at)


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_SAMPLE else plain[: LONGEST_SAMPLE - 1] + "…"
