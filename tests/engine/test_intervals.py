"""An interval at 95 % covers what other rows of the kind would give in 94 of 100 sets or more, also of skewed rows."""

import pytest

from tests.engine.conftest import in_an_engine

pytestmark = pytest.mark.night

LEAST = 0.94


def covered(code):
    answers = in_an_engine(code)
    assert answers
    low = [answer for answer in answers if float(answer.partition("/")[0]) < LEAST]
    assert low == [], f"{low} of {answers}"


def test_the_interval_of_balanced_accuracy_and_of_plain_shares_covers_them_by_enumeration():
    covered("""
import itertools, math
from workers.engine.evals.measures import interval

for counts in ((20, 2, 1), (30, 5, 5), (40, 8), (12, 12), (9,), (24,), (64,)):
    worst = (1.0,)
    for recalls in ({*itertools.product((0.9, 0.95, 0.99), repeat=len(counts))}):
        true, share = sum(recalls) / len(recalls), 0.0
        for right in itertools.product(*(range(max(0, n // 2 - 1), n + 1) for n in counts)):
            chance = math.prod(math.comb(n, k) * p**k * (1 - p) ** (n - k)
                               for n, k, p in zip(counts, right, recalls))
            if chance > 1e-7:
                low, high = interval(list(zip(right, counts)))
                share += chance * (low - 1e-4 <= true <= high + 1e-4)
        worst = min(worst, (round(share, 4), counts, recalls))
    print(*(str(part).replace(" ", "") for part in worst), sep="/")
""")


def test_intervals_of_f1_and_losses_cover_them_in_drawn_sets():
    covered("""
import numpy as np
from workers.engine.evals import measures

draw = np.random.default_rng(7)

def share(name, sets):
    inside = [low - 1e-4 <= true <= high + 1e-4 for true, (low, high) in sets]
    print(round(float(np.mean(inside)), 4), name, sep="/")

def macro_f1(counts, recall):
    labels = len(counts)
    table = np.full((labels, labels), (1 - recall) / (labels - 1))
    np.fill_diagonal(table, recall)
    expected = np.repeat(np.arange(labels), counts)
    whole = np.array(counts)[:, None] * table
    true = float(np.mean(2 * whole.diagonal() / (whole.sum(0) + whole.sum(1))))
    for _ in range(100):
        predicted = [int(draw.choice(labels, p=table[label])) for label in expected]
        found = measures.macro_f1(predicted, expected.tolist())
        yield true, measures.share_interval(found, measures.trials_by_label(expected.tolist()))

for counts in ((20, 2, 1), (30, 5, 5), (12, 12)):
    for recall in (0.9, 0.99):
        share(f"macro-f1-{counts}-{recall}".replace(" ", ""), macro_f1(counts, recall))

def overlaps(rows, right):
    for _ in range(100):  # of the answers some are wholly right, the others in part
        scores = np.where(draw.random(rows) < right, 1.0, draw.random(rows))
        yield right + (1 - right) / 2, measures.share_interval(float(scores.mean()), rows)

def losses(rows, shape):
    for _ in range(200):
        yield 2.0, measures.mean_interval((draw.gamma(shape, 2.0 / shape, rows)).tolist())

for rows in (9, 64):
    for right in (0.6, 0.95):
        share(f"f1-{rows}-{right}", overlaps(rows, right))
for rows in (8, 24):
    for shape in (6, 20):
        share(f"loss-{rows}-{shape}", losses(rows, shape))
""")


def test_an_interval_holds_its_number_and_stays_within_its_bounds():
    answers = in_an_engine("""
from workers.engine.evals import measures
for trials in (1, 2, 7, 24, 256):
    for share in (0.0, 0.1234, 0.5, 0.9931, 1.0):
        low, high = measures.share_interval(share, trials)
        assert 0 <= low <= share <= high <= 1, (trials, share, low, high)
for hits in ([(0, 1)], [(1, 1)], [(20, 20), (0, 2), (1, 1)], [(256, 256), (3, 3)], [(0, 9), (0, 3)]):
    low, high = measures.interval(hits)
    assert 0 <= low <= sum(right / rows for right, rows in hits) / len(hits) + 5e-5, (hits, low)
    assert low < high <= 1
print(measures.interval([(256, 256)]), measures.mean_interval([1.0, 1.0]), measures.mean_interval([2.0] * 8))
weighted = measures.mean_interval([1.0, 3.0, 2.0, 4.0, 1.5, 2.5, 0.5, 3.5], [3.0, 1.0, 3.0, 1.0] * 2)
assert weighted[0] < 2.0 < weighted[1] < 9
for rare in ([0.0, 0.0, 0.0, 5.0], [1.0, 2.0, 3.0], [0.0] * 40 + [0.5, 1.0]):  # most sets that are drawn say nothing
    assert measures.mean_interval(rare) is None, rare
""")
    assert answers == ["(0.9857,", "1.0)", "None", "(2.0,", "2.0)"]
