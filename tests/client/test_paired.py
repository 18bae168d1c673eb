"""The paired test: its numbers against those counted by hand, and what chance does to versions that do not differ."""

import itertools
import math
import random

import numpy as np
import pytest

from dovetail.adapters.results import paired
from tests.sweep import at_merge

RIGHT, WRONG = [1.0], [0.0]


def test_right_and_wrong_rows_get_the_binomial_tail_of_those_that_differ():
    before, now = RIGHT * 20, WRONG * 6 + RIGHT * 14
    pair = paired.compare(now, before)
    assert (pair.test, pair.rows, pair.difference) == ("mcnemar-exact", 20, -0.3)
    assert (pair.lower, pair.higher) == (1 / 64, 1.0)
    assert pair.two_sided == 1 / 32
    mixed = paired.compare(WRONG * 5 + RIGHT * 15, RIGHT * 18 + WRONG * 2)  # 5 lost, 2 won: (1 + 7 + 21) / 128
    assert mixed.lower == pytest.approx(29 / 128)
    low, high = pair.interval
    assert low < -0.3 < high < 0


def test_rows_that_do_not_differ_give_an_interval_around_nothing():
    pair = paired.compare(RIGHT * 24, RIGHT * 24)
    assert (pair.difference, pair.lower, pair.higher) == (0, 1, 1)
    assert pair.interval[0] < 0 < pair.interval[1], "24 rows do not prove that no row ever differs"


def test_few_losses_get_every_assignment_of_signs():
    before, now = [1.0, 2.0, 3.0, 4.0], [1.5, 2.25, 3.125, 3.9]
    differences = [b - a for a, b in zip(before, now, strict=True)]
    sums = [sum(s * abs(d) for s, d in zip(signs, differences, strict=True))
            for signs in itertools.product((-1, 1), repeat=4)]  # fmt: skip
    pair = paired.compare(now, before)
    assert pair.test == "sign-flip-permutation"
    assert pair.higher == sum(one >= sum(differences) - 1e-9 for one in sums) / 16
    assert pair.lower == sum(one <= sum(differences) + 1e-9 for one in sums) / 16


def test_the_weights_of_rare_rows_decide_as_in_the_balanced_accuracy():
    before = RIGHT * 100
    now = RIGHT * 92 + WRONG * 8
    weights = [100 / (2 * 92)] * 92 + [100 / (2 * 8)] * 8
    pair = paired.compare(now, before, weights)
    assert pair.difference == pytest.approx(-0.5), "one of two labels is lost"
    assert pair.test == "sign-flip-permutation"
    assert pair.lower == 1 / 256, "eight rows differ, and all of them fall"


@pytest.mark.parametrize("kind", ["shares", "losses"])
def test_chance_stops_one_in_a_hundred_of_versions_that_do_not_differ(kind):
    draw, stopped = random.Random(7), 0
    for _ in range(300):
        if kind == "shares":
            pair = paired.compare(*([float(draw.random() < 0.8) for _ in range(96)] for _ in range(2)))
        else:
            rows = [draw.uniform(1, 4) for _ in range(32)]
            pair = paired.compare([row + draw.gauss(0, 0.1) for row in rows], rows)
        stopped += pair.lower < 0.01
    assert stopped <= 9, "a hundredth of 300, and three deviations more"


def share_refused(rows: list[int], recalls: list[float], share: float) -> float:
    """Return how often an adapter with these recalls fails beside a guess, over all outcomes of so many rows."""
    refused = 0.0
    for hits in itertools.product(*(range(count + 1) for count in rows)):
        at = list(zip(hits, rows, strict=True))
        if sum(right / count for right, count in at) / len(rows) >= share:
            continue  # it is no worse than the guess
        if paired.chance_of_guess(at, share) < paired.ALPHA:
            refused += math.prod(
                math.comb(count, right) * recall**right * (1 - recall) ** (count - right)
                for (right, count), recall in zip(at, recalls, strict=True)
            )
    return refused


def test_of_a_hundred_adapters_as_good_as_a_guess_at_most_one_is_refused():
    too_many = [
        (rows, share, true)
        for rows in (4, 8, 12, 24, 60, 100, 256)
        for share in (0.1, 0.25, 1 / 3, 0.5, 0.556, 0.7)
        for true in (share, share + 0.05, 0.9)
        if share_refused([rows], [true], share) > 0.01
    ]
    assert too_many == []


@pytest.mark.parametrize(
    ("rows", "recalls"),
    [
        ([20, 2], [0.5, 0.5]),
        ([3, 12], [0.9, 0.1]),
        ([10, 2, 1], [0, 1 / 3, 2 / 3]),
        *at_merge(
            ([20, 1], [0.5, 0.5]),
            ([9, 3], [0.7, 0.3]),
            ([12, 4, 3], [1 / 3, 1 / 3, 1 / 3]),
            ([12, 4, 3], [0.5, 0.25, 0.25]),
            ([10, 2, 1], [0.2, 0.4, 0.4]),
            ([20, 4], [0.1, 0.9]),
            ([20, 4], [0.9, 0.1]),
        ),
    ],
)
def test_nor_of_those_whose_labels_are_of_unequal_number(rows, recalls):
    assert share_refused(rows, recalls, 1 / len(rows)) <= 0.01


def test_what_is_clearly_worse_than_a_guess_is_refused():
    assert paired.chance_of_guess([(2, 24)], 0.5) < paired.ALPHA
    assert paired.chance_of_guess([(1, 20), (0, 4)], 0.5) < paired.ALPHA
    assert paired.chance_of_guess([(8, 24)], 0.5) > paired.ALPHA
    assert paired.chance_of_correlation(-0.8, 24) < paired.ALPHA < paired.chance_of_correlation(-0.3, 24)


def test_of_a_hundred_unrelated_predictions_about_one_is_refused():
    random_numbers = np.random.default_rng(5)
    for rows in (6, 12, 48):
        pairs = random_numbers.normal(size=(20_000, 2, rows))
        centred = pairs - pairs.mean(-1, keepdims=True)
        norms = np.sqrt((centred**2).sum(-1)).prod(-1)
        correlations = (centred[:, 0] * centred[:, 1]).sum(-1) / norms
        share = np.mean([paired.chance_of_correlation(float(one), rows) < paired.ALPHA for one in correlations])
        assert share <= 0.0125, rows  # 0.01, and three standard errors of the 20,000


@pytest.mark.merge
def test_chance_says_worse_of_at_most_one_in_a_hundred_equal_versions_for_any_number_of_differing_rows():
    for differ in range(201):
        refused = sum(
            math.comb(differ, won) / 2**differ
            for won in range(differ + 1)
            if paired.compare(
                [1.0] * won + [0.0] * (differ - won) + [1.0], [0.0] * won + [1.0] * (differ - won) + [1.0]
            ).lower
            < paired.ALPHA
        )
        assert refused <= paired.ALPHA, differ


def test_lists_that_cannot_be_paired_are_refused():
    for now, before in (([], []), ([1.0], [1.0, 0.0])):
        with pytest.raises(ValueError, match="cannot be paired"):
            paired.compare(now, before)
