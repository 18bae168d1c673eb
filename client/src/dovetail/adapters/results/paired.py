"""A paired test of two measurements of the same rows: is the second one worse or better than chance explains?

Numpy alone, so that an engine (an adapter beside its own head) and a hub (a version beside the one before) ask the same
function.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MCNEMAR, SIGN_FLIP = "mcnemar-exact", "sign-flip-permutation"
ALL_FLIPS = 12  # rows that differ, up to which every assignment of signs is counted
DRAWS = 20_000  # assignments, or resampled sets, that are drawn where there are more
SEED = 0  # the same rows give the same numbers
Z = 1.96  # of an interval at 95 %
ALPHA = 0.01  # one-sided: of 100 adapters that are no worse, chance stops at most about one

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """`difference` is the mean of now minus before, `interval` its bounds at 95 %, two-sided.

    `lower` and `higher` are the chances of a difference as low, as high as this one among versions that do not differ.
    """

    difference: float
    interval: tuple[float, float]
    rows: int
    test: str
    lower: float
    higher: float

    @property
    def two_sided(self) -> float:
        return min(1.0, 2 * min(self.lower, self.higher))


def p_text(p: float) -> str:
    """Return the chance as a sentence tells it: exact numbers below a thousandth say nothing more."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def compare(now: Sequence[float], before: Sequence[float], weights: Sequence[float] | None = None) -> Paired:
    """Compare two measurements row by row; `weights` are those of the rows in their mean, equal ones without.

    Rows of equal weight that are right or wrong get McNemar's exact test (McNemar 1947; the binomial tail of the rows
    that differ), with Agresti and Min's interval (2005: the Wald interval after half a row in each cell). All other
    numbers, such as losses, F1 of a row and weighted rows, get the sign-flip permutation test (Fisher 1935; Edgington
    and Onghena 2007): every assignment of signs to the rows' differences where few rows differ, else drawn ones with
    the correction of Phipson and Smyth (2010). Their interval is the percentile bootstrap of the rows (Efron 1979).
    Raises ValueError for lists of different lengths, and for none.
    """
    if not now or len(now) != len(before) or (weights is not None and len(weights) != len(now)):
        raise ValueError(f"{len(now)} and {len(before)} rows cannot be paired")
    differences = np.asarray(now, np.float64) - np.asarray(before, np.float64)
    if weights is None and set(now) | set(before) <= {0.0, 1.0}:
        return _right_or_wrong(differences)
    if weights is not None:
        differences = differences * np.asarray(weights, np.float64) * len(now) / sum(weights)
    lower, higher = _flipped(differences)
    return Paired(float(differences.mean()), _resampled(differences), len(now), SIGN_FLIP, lower, higher)


def _right_or_wrong(differences: Numbers) -> Paired:
    rows = len(differences)
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    shift, spread = (won - lost) / (rows + 2), (won + lost + 1) / (rows + 2)
    width = Z * math.sqrt(max(0.0, spread - shift**2) / (rows + 2))
    interval = (max(-1.0, shift - width), min(1.0, shift + width))
    return Paired((won - lost) / rows, interval, rows, MCNEMAR, _tail(won, won + lost), _tail(lost, won + lost))


def _tail(successes: int, tries: int) -> float:
    """Return the chance of so many heads or fewer."""
    count: int = sum(math.comb(tries, k) for k in range(successes + 1))
    share: float = count / 2**tries
    return share


def chance_of_guess(hits: Sequence[tuple[int, int]], share: float) -> float:
    """Return how often, at most, what is as good as a guess does as badly by chance: a one-sided p.

    `hits` are right answers and rows: of all rows together, which gives the binomial tail, or of each label, of which
    the mean share of right answers counts. That has a chance of its own for each set of recalls with the mean `share`,
    so the largest one is bounded (Chernoff's bound; for each `t` the recalls that are worst for it, which are found as
    in water-filling, since its logarithm is concave in them).
    """
    if len(hits) == 1:
        [(right, count)] = hits
        return math.fsum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(right + 1))
    rows = np.array([count for _, count in hits], np.float64)
    seen = sum(right / count for right, count in hits)
    least = 0.0
    for t in np.geomspace(0.1, 50 * rows.max(), 40):
        fall = 1 - np.exp(-t / rows)
        recalls = _worst_recalls(rows, fall, share * len(hits))
        least = min(least, float(t * seen + (rows * np.log1p(-recalls * fall)).sum()))
    return math.exp(least)


def _worst_recalls(rows: Numbers, fall: Numbers, total: float) -> Numbers:
    """Return the recalls with this sum that make Chernoff's bound largest."""
    low, high = 0.0, 1e6 * float(rows.sum())
    for _ in range(50):
        middle = (low + high) / 2
        if np.clip(1 / fall - rows / middle, 0, 1).sum() < total:
            low = middle
        else:
            high = middle
    return np.clip(1 / fall - rows / high, 0, 1 - 1e-12)


def chance_of_correlation(correlation: float, rows: int) -> float:
    """Return how often unrelated numbers correlate as badly by chance: a one-sided p.

    Fisher's z, with rows - 4 in place of rows - 3, which would say too little of few rows: 1.3 for 1 % of six.
    """
    z = math.atanh(max(-0.999999, min(0.999999, correlation))) * math.sqrt(max(0, rows - 4))
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _flipped(differences: Numbers) -> tuple[float, float]:
    """Return the shares of assignments of signs whose sum is as low, and as high, as the one that was seen."""
    moved = differences[differences != 0]
    if len(moved) <= ALL_FLIPS:
        numbers = np.arange(2 ** len(moved))[:, None]
        signs: Any = (numbers >> np.arange(len(moved)) & 1) * 2.0 - 1.0
        drawn = 0
    else:
        signs = np.random.default_rng(SEED).choice(np.array([-1.0, 1.0]), (DRAWS, len(moved)))
        drawn = 1
    # Not by BLAS: its threads do not survive the fork of an engine's child, which would wait for them for ever.
    sums, seen = np.einsum("ij,j->i", signs, np.abs(moved)), moved.sum()
    noise = 1e-9 * float(np.abs(moved).sum())  # sums of the same numbers in another order
    tries = len(sums) + drawn
    return (
        (int((sums <= seen + noise).sum()) + drawn) / tries,
        (int((sums >= seen - noise).sum()) + drawn) / tries,
    )


def _resampled(differences: Numbers) -> tuple[float, float]:
    chosen = np.random.default_rng(SEED).integers(0, len(differences), (DRAWS // 10, len(differences)))
    low, high = np.percentile(differences[chosen].mean(1), [2.5, 97.5])
    return float(low), float(high)
