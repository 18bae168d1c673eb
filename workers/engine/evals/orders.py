"""Finds the order of labels by which an adapter's answers are right, where the one in use is not the head's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dovetail.adapters.results import paired
from workers.engine.evals.codec import Codec

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
