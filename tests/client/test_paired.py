"""The paired test: its numbers against those counted by hand, and what chance does to versions that do not differ."""

import itertools
import random

import pytest

from dovetail.adapters import paired

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


def test_lists_that_cannot_be_paired_are_refused():
    for now, before in (([], []), ([1.0], [1.0, 0.0])):
        with pytest.raises(ValueError, match="cannot be paired"):
            paired.compare(now, before)
