"""The pictures of the pages: numbers in, places of shapes out, also for none, one, equal, broken and many numbers."""

import math

import pytest

from hub.site.pictures import scatter as scatters
from hub.site.pictures.dumbbell import LEFT, WIDTH, dumbbell
from hub.site.pictures.scatter import Measured, scatter
from hub.site.verdict_summary import Version, strip


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf]])
def test_a_dumbbell_of_no_numbers_has_no_marks(values):
    drawn = dumbbell((("base", "base", value) for value in values), (math.nan, 1))
    assert (drawn.marks, drawn.interval, drawn.bar) == ((), None, None)


@pytest.mark.parametrize("values", [(0.0,), (0.7, 0.7), (-3, 4), (1e300, 2e300), (0, 1), (123.4,)])
def test_all_marks_of_a_dumbbell_are_inside(values):
    drawn = dumbbell(("base", str(value), value) for value in values)
    assert [mark.value for mark in drawn.marks] == list(values)
    assert all(LEFT <= mark.x <= LEFT + WIDTH for mark in drawn.marks)


def test_a_dumbbell_spans_its_interval_and_joins_base_and_adapter():
    drawn = dumbbell([("base", "base", 0.5), ("adapter", "this", 0.9), ("claimed", "card", None)], (0.85, 0.95))
    base, adapter = drawn.marks
    assert drawn.bar == (base.x, adapter.x)
    start, width = drawn.interval
    assert start < adapter.x < start + width
    assert drawn.high <= 1


def test_a_strip_has_a_tooth_for_each_version_and_skips_scores_that_are_missing():
    versions = [Version("passed", 0.5, is_verified=True), Version("failed"), Version("noted", 0.9, is_yanked=True)]
    drawn = strip(versions)
    assert len(drawn.marks) == 3
    (first, low), (last, high) = drawn.dots
    assert first < last
    assert high < low  # the higher score is nearer to the top
    assert drawn.words == "1 passed, 1 failed, 1 passed with notes, 1 yanked"
    assert strip(versions[:1]) is strip([]) is None
    assert not strip([Version("waiting", math.nan), Version("waiting")]).dots
    assert {y for _, y in strip([Version("passed", 1.0)] * 3).dots} == {21.0}


@pytest.mark.parametrize("sizes", [(), (5,), (0, 5)])
def test_fewer_than_two_sizes_are_no_scatter(sizes):
    assert scatter(Measured("a", "/a", size, 0.5) for size in sizes) is None


@pytest.mark.parametrize("lower", [False, True])
def test_a_scatter_has_the_better_above_and_joins_those_that_no_smaller_one_beats(lower):
    scores = {
        "tiny": (10, 0.4),
        "small": (1_000, 0.7),
        "worse": (2_000, 0.6),
        "same": (9_000, 0.7),
        "large": (90_000, 0.9),
    }
    given = [Measured(name, f"/{name}", size, 1 - score if lower else score) for name, (size, score) in scores.items()]
    drawn = scatter([*given, Measured("unknown", "/", 5, math.nan)], lower_is_better=lower)
    assert [point.measured.name for point in drawn.best] == ["tiny", "small", "large"]
    heights = [point.y for point in drawn.points]
    assert heights[4] < heights[1] == heights[3] < heights[2] < heights[0]
    assert [point.x for point in drawn.points] == sorted(point.x for point in drawn.points)
    assert all(scatters.LEFT <= point.x <= scatters.LEFT + scatters.WIDTH for point in drawn.points)
    assert [size for size, _ in drawn.sizes] == [10, 100, 1_000, 10_000]
    assert drawn.steps[-1][2] == 100
    assert 3 <= len(drawn.scores) <= 7
    assert all(scatters.TOP <= y <= scatters.BOTTOM for _, y in drawn.scores)
    flat = scatter([Measured("a", "/a", 7, 0.5), Measured("b", "/b", 7, 0.5)], lower_is_better=lower)
    middle = scatters.LEFT + scatters.WIDTH / 2
    assert [(point.x, point.is_best) for point in flat.points] == [(middle, True), (middle, False)]
    near = scatter([Measured("a", "/a", 1_000_000, 0.93), Measured("b", "/b", 1_000_090, 0.94)], lower_is_better=lower)
    assert near.points[1].x - near.points[0].x < scatters.WIDTH / 100, "their sizes are nearly equal"
    assert abs(near.points[1].y - near.points[0].y) < (scatters.BOTTOM - scatters.TOP) / 6
    assert len(near.sizes) == 1
