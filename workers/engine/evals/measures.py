"""The type of a metric, with its direction, and the formulas behind the numbers; no model is run here."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import torch

from dovetail.adapters.results import paired

ENDLESS = 1e6  # a quotient of a bootstrap whose denominator was nothing
MOST = 1e9  # the largest number that a verdict accepts
MAX_CONFUSED = 30  # labels
CORRELATIONS = ("pearson", "spearman")
Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Metric:
    """A number for the base and one for the adapter, over `rows` rows.

    A base without a trained head can only guess: then `base` is the result of the best guess without a model, and
    `head_alone` that of the adapter's own head on the frozen base with the adapter switched off. A `rough` metric is
    reported beside the first one and refuses nothing. `scores` and `alone_scores` are the numbers row by row, `weights`
    those of the rows in their mean, and `interval` bounds what the number would be on other rows of the kind.
    `guess_p` is how often a guess does as badly by chance, where that is known. `trials` is how many right or wrong
    answers say as much as these rows do, if fewer: of skewed labels the rare ones decide. `also` has the adapter's
    number by other names that a card may claim it by. `confusion` counts the adapter's answers to each label.
    """

    name: str
    base: float
    adapter: float
    rows: int
    higher_is_better: bool = True
    head_alone: float | None = None
    rough: bool = False
    guess: bool = False
    interval: tuple[float, float] | None = None
    scores: Sequence[float] = ()
    alone_scores: Sequence[float] = ()
    weights: Sequence[float] | None = None
    guess_p: float | None = None
    trials: int | None = None
    also: Mapping[str, float] = field(default_factory=dict)
    confusion: Sequence[Sequence[int]] | None = None

    @property
    def is_worse(self) -> bool:
        return self.adapter < self.base if self.higher_is_better else self.adapter > self.base

    @property
    def may_be_chance(self) -> bool:
        """True unless a guess does as badly in fewer than one of a hundred such sets of rows."""
        return self.guess and (self.guess_p is None or self.guess_p >= paired.ALPHA)


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def bounded(value: float) -> float:
    """Return the value rounded and capped, so that every reader of a verdict accepts it; NaN becomes the cap."""
    return round(min(value, MOST), 4) if value == value else MOST


def accuracy(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    return mean([float(one == other) for one, other in zip(predicted, expected, strict=True)])


def balanced_accuracy(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    """Return the mean share of right answers over the labels that occur in the rows: a guess gets 1 / labels."""
    return mean([right / rows for right, rows in hits_by_label(predicted, expected)])


def hits_by_label(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return right answers and rows of each label that occurs."""
    rows = Counter(expected)
    right = Counter(label for one, label in zip(predicted, expected, strict=True) if one == label)
    return [(right[label], count) for label, count in rows.items()]


def confusion(predicted: Sequence[int], expected: Sequence[int], labels: int) -> list[list[int]] | None:
    """Return the number of answers by expected label and answer; None for more labels than a page can show."""
    if labels > MAX_CONFUSED:
        return None
    pairs = Counter(zip(expected, predicted, strict=True))
    return [[pairs[label, answer] for answer in range(labels)] for label in range(labels)]


def weights_by_label(expected: Sequence[Hashable]) -> list[float]:
    """Return the weight of each row in the balanced accuracy; their mean is 1."""
    rows = Counter(expected)
    return [round(len(expected) / (len(rows) * rows[label]), 6) for label in expected]


def interval(hits: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the bounds of a mean of shares at 95 %: exact ones of each share, added up (Donner and Zou 2002)."""
    shares = [(right / rows, *_exact(right, right, rows)) for right, rows in hits]
    mean_share = sum(share for share, _, _ in shares) / len(shares)
    below, above = (
        math.sqrt(sum((share - bounds[end]) ** 2 for share, *bounds in shares)) / len(shares) for end in (0, 1)
    )
    return round(max(0.0, mean_share - below), 4), round(min(1.0, mean_share + above), 4)


def share_interval(share: float, trials: int) -> tuple[float, float]:
    """Return the bounds at 95 % of a mean of numbers from 0 to 1, which varies at most like a share of the trials."""
    right = share * trials
    low, high = _exact(math.floor(right + 0.01), math.ceil(right - 0.01), trials)
    return round(low, 4), round(high, 4)


@cache
def _exact(fewest: int, most: int, rows: int) -> tuple[float, float]:
    """Return the bounds of a share at 95 % (Clopper and Pearson 1934), of `fewest` right answers and of `most`."""
    return (
        _share_at(0.025, fewest, rows) if fewest > 0 else 0.0,
        1 - _share_at(0.025, rows - most, rows) if most < rows else 1.0,
    )


def _share_at(chance: float, right: int, rows: int) -> float:
    """Return the share at which so many right answers or more have this chance, by bisection to a millionth."""
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        tail = math.fsum(math.comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(right, rows + 1))
        low, high = (share, high) if tail < chance else (low, share)
    return low


def mean_interval(values: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, float] | None:
    """Return the bounds of a mean of losses at 95 % by the bootstrap of its t (Hall 1988), which follows their skew.

    It takes 2 % at either end: of some dozens of rows it covers a little less than it says. None for fewer than three,
    and where so few differ from the others that sets drawn of them are often all alike: those say nothing of a bound.
    """
    rows = len(values)
    if rows < 3:
        return None
    parts = torch.tensor(values, dtype=torch.float64)
    if weights is not None:
        shares = torch.tensor(weights, dtype=torch.float64)
        parts = parts * shares * rows / shares.sum()
    drawn = parts[torch.randint(rows, (2000, rows), generator=torch.Generator().manual_seed(0))]
    centre, spread = parts.mean(), parts.std()
    tiny = 1e-9 * (1 + centre.abs())
    ends = ((drawn.mean(1) - centre) / (drawn.std(1) + tiny)).quantile(torch.tensor([0.98, 0.02], dtype=torch.float64))
    if ends.abs().max() > ENDLESS:
        return None
    low, high = (centre - ends * spread).tolist()
    return bounded(max(0.0, low)), bounded(high)


def trials_by_label(expected: Sequence[Hashable]) -> int:
    """Return how many answers to equally common labels vary as much as a mean over these labels does."""
    counts = Counter(expected).values()
    return max(1, int(len(counts) ** 2 / sum(1 / count for count in counts) + 1e-9))


def macro_f1(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    """Return the mean of F1 over the labels that occur in the rows."""
    return mean([f1_of(predicted, expected, {label}) for label in set(expected)])


def f1_of(predicted: Sequence[Hashable], expected: Sequence[Hashable], labels: set[Hashable]) -> float:
    """F1 of finding any of these labels, each as itself (micro average)."""
    right = sum(one == other and other in labels for one, other in zip(predicted, expected, strict=True))
    predictions, occurrences = sum(one in labels for one in predicted), sum(one in labels for one in expected)
    return round(2 * right / (predictions + occurrences), 4) if predictions + occurrences else 0.0


def weighted_f1(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    """Return the mean of F1 over the rows, each with that of its label."""
    by_label = {label: f1_of(predicted, expected, {label}) for label in set(expected)}
    return mean([by_label[label] for label in expected])


def commonest(labels: Sequence[Label]) -> Label:
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
