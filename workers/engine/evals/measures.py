"""The type of a metric, with its direction, and the formulas behind the numbers; no model is run here."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

MOST = 1e9  # the largest number that a verdict accepts


@dataclass(frozen=True, slots=True)
class Metric:
    """A number for the base and one for the adapter, over `rows` rows.

    A base without a trained head can only guess: then `base` is the result of the best guess without a model, and
    `head_alone` that of the adapter's own head on the frozen base with the adapter switched off. A `rough` metric is
    reported beside the first one and refuses nothing.
    """

    name: str
    base: float
    adapter: float
    rows: int
    higher_is_better: bool = True
    head_alone: float | None = None
    rough: bool = False

    @property
    def is_worse(self) -> bool:
        return self.adapter < self.base if self.higher_is_better else self.adapter > self.base


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def bounded(value: float) -> float:
    """Return the value rounded and capped, so that every reader of a verdict accepts it; NaN becomes the cap."""
    return round(min(value, MOST), 4) if value == value else MOST


def accuracy(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    return mean([float(one == other) for one, other in zip(predicted, expected, strict=True)])


def macro_f1(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    """Return the mean of F1 over the labels that occur in the rows."""
    return mean([f1_of(predicted, expected, {label}) for label in set(expected)])


def f1_of(predicted: Sequence[Hashable], expected: Sequence[Hashable], labels: set[Hashable]) -> float:
    """F1 of finding any of these labels, each as itself (micro average)."""
    right = sum(one == other and other in labels for one, other in zip(predicted, expected, strict=True))
    predictions, occurrences = sum(one in labels for one in predicted), sum(one in labels for one in expected)
    return round(2 * right / (predictions + occurrences), 4) if predictions + occurrences else 0.0


def commonest(labels: Sequence[Hashable]) -> Hashable:
    """Return the most common label, the best guess without a model; of equally common ones the first."""
    return Counter(labels).most_common(1)[0][0]


def pearson(left: torch.Tensor, right: torch.Tensor) -> float:
    """Return Pearson's correlation, or 0 if one side is constant."""
    if left.std() == 0 or right.std() == 0:
        return 0.0
    correlation = torch.corrcoef(torch.stack([left.double(), right.double()]))[0, 1].item()
    return round(correlation, 4) if correlation == correlation else 0.0


def spearman(left: torch.Tensor, right: torch.Tensor) -> float:
    return pearson(_ranks(left), _ranks(right))


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Return ranks from 0; equal values share their mean rank."""
    less = (values[:, None] > values[None, :]).sum(1).float()
    equal = (values[:, None] == values[None, :]).sum(1).float()
    return less + (equal - 1) / 2


# --- texts -----------------------------------------------------------------------------------------------------------
def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def answer_words(text: str) -> list[str]:
    """Return the words as SQuAD's evaluation compares them (evaluate-v1.1.py): in lower case, without articles."""
    return [word for word in words(text) if word not in ("a", "an", "the")]


def overlap(answer: str, expected: str) -> float:
    """Return F1 over the words of two answers; two empty answers agree."""
    answer_list, expected_list = answer_words(answer), answer_words(expected)
    shared = sum((Counter(answer_list) & Counter(expected_list)).values())
    return 2 * shared / (len(answer_list) + len(expected_list)) if answer_list or expected_list else 1.0


def rouge_l(text: str, expected: str) -> float:
    """Return F1 over the longest common subsequence of words (Lin 2004)."""
    text_words, expected_words = words(text), words(expected)
    before = [0] * (len(expected_words) + 1)
    for word in text_words:
        row = [0]
        for at, expected_word in enumerate(expected_words):
            row.append(before[at] + 1 if word == expected_word else max(before[at + 1], row[-1]))
        before = row
    return 2 * before[-1] / (len(text_words) + len(expected_words)) if text_words or expected_words else 1.0


def distinct_pairs(text: str) -> float:
    """Return the share of distinct pairs of neighbouring words (distinct-2, Li et al. 2016); 1 for fewer than two."""
    word_list = text.split()
    pairs = list(itertools.pairwise(word_list))
    return len(set(pairs)) / len(pairs) if len(pairs) > 1 else 1.0
