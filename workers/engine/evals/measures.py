"""The type of a metric, with its direction, and the formulas behind the numbers; no model is run here."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

MOST = 1e9  # beyond it nothing is a measure, and a verdict takes no such number


@dataclass(frozen=True, slots=True)
class Metric:
    """A number for the base and one for the adapter, over `rows` rows.

    A base without a trained head can only guess: then `base` is what the best guess without a model gets, and
    `head_alone` what the adapter's own head gets on the frozen base with the adapter switched off. A `rough` metric is
    told beside the first one and refuses nothing.
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
    """A number that every reader of a verdict takes."""
    return round(min(value, MOST), 4) if value == value else MOST


def accuracy(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> float:
    return mean([float(one == other) for one, other in zip(found, wanted, strict=True)])


def macro_f1(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> float:
    """The mean of F1 over the labels that occur in the rows."""
    return mean([f1_of(found, wanted, {label}) for label in set(wanted)])


def f1_of(found: Sequence[Hashable], wanted: Sequence[Hashable], labels: set[Hashable]) -> float:
    """F1 of finding any of these labels, each as itself (micro average)."""
    right = sum(one == other and other in labels for one, other in zip(found, wanted, strict=True))
    said, there = sum(one in labels for one in found), sum(one in labels for one in wanted)
    return round(2 * right / (said + there), 4) if said + there else 0.0


def commonest(labels: Sequence[Hashable]) -> Hashable:
    """The label that a guess without a model always says; of equally common ones the first."""
    return Counter(labels).most_common(1)[0][0]


def pearson(one: torch.Tensor, other: torch.Tensor) -> float:
    """0 where one of them is constant: what does not vary goes along with nothing."""
    if one.std() == 0 or other.std() == 0:
        return 0.0
    found = torch.corrcoef(torch.stack([one.double(), other.double()]))[0, 1].item()
    return round(found, 4) if found == found else 0.0


def spearman(one: torch.Tensor, other: torch.Tensor) -> float:
    return pearson(_ranks(one), _ranks(other))


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Ranks from 0; equal values share the mean of theirs."""
    less = (values[:, None] > values[None, :]).sum(1).float()
    equal = (values[:, None] == values[None, :]).sum(1).float()
    return less + (equal - 1) / 2


# --- texts -----------------------------------------------------------------------------------------------------------
def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def answer_words(text: str) -> list[str]:
    """Words as SQuAD's evaluation compares them (evaluate-v1.1.py): in lower case, without articles."""
    return [word for word in words(text) if word not in ("a", "an", "the")]


def overlap(found: str, wanted: str) -> float:
    """F1 over the words of two answers; two empty ones agree."""
    one, other = answer_words(found), answer_words(wanted)
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared / (len(one) + len(other)) if one or other else 1.0


def rouge_l(found: str, wanted: str) -> float:
    """F1 over the longest common subsequence of words (Lin 2004)."""
    one, other = words(found), words(wanted)
    before = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for at, there in enumerate(other):
            row.append(before[at] + 1 if word == there else max(before[at + 1], row[-1]))
        before = row
    return 2 * before[-1] / (len(one) + len(other)) if one or other else 1.0


def distinct_pairs(text: str) -> float:
    """The share of different ones among pairs of neighbouring words (distinct-2, Li et al. 2016); 1 for one pair."""
    said = text.split()
    pairs = list(itertools.pairwise(said))
    return len(set(pairs)) / len(pairs) if len(pairs) > 1 else 1.0
