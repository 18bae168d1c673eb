"""The pictures of the pages: numbers in, places of shapes out, also for none, one, equal, broken and many numbers."""

import math

import pytest

from dovetail.adapters.results.report import Evaluation
from hub.site import pictures
from hub.site.measures import percent
from hub.site.pictures import LINE_LEFT, LINE_WIDTH, Measured, around, dumbbell, placed, scatter
from hub.site.pictures.heat_map import MAX_LAYERS, MAX_ROWS, heat_map
from hub.site.verdict_summary import Version, strip


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf]])
def test_a_dumbbell_of_no_numbers_has_no_marks(values):
    drawn = dumbbell((("base", "base", value) for value in values), (math.nan, 1))
    assert (drawn.marks, drawn.interval, drawn.bar) == ((), None, None)


@pytest.mark.parametrize("values", [(0.0,), (0.7, 0.7), (-3, 4), (1e300, 2e300), (0, 1), (123.4,)])
def test_all_marks_of_a_dumbbell_are_inside(values):
    drawn = dumbbell(("base", str(value), value) for value in values)
    assert [mark.value for mark in drawn.marks] == list(values)
    assert all(LINE_LEFT <= mark.x <= LINE_LEFT + LINE_WIDTH for mark in drawn.marks)


def test_a_dumbbell_spans_its_interval_and_joins_base_and_adapter():
    drawn = dumbbell([("base", "base", 0.5), ("adapter", "this", 0.9), ("claimed", "card", None)], (0.85, 0.95))
    base, adapter = drawn.marks
    assert drawn.bar == (base.x, adapter.x)
    start, width = drawn.interval
    assert start < adapter.x < start + width
    assert drawn.axis.high <= 1


def test_labels_of_a_dumbbell_stand_beside_each_other():
    values = (("adapter", 1.0), ("base", 0.5), ("head", 0.98), ("claimed", 1.0), ("previous", 0.99))
    marks = dumbbell([(who, who, value) for who, value in values]).marks
    labels = placed((mark, f"{mark.who} {mark.value}") for mark in marks)
    assert [(label.mark.who, label.row, label.anchor) for label in labels] == [
        ("adapter", 0, "ends"),
        ("base", 0, "middle"),
        ("head", 1, "ends"),
        ("claimed", 2, "ends"),
    ], "the last one has no room"


def accuracy(value: float, rows_sha256: str = "a") -> Evaluation:
    return Evaluation("smoke", 24, "accuracy", adapter=value, interval=(value - 0.1, 1.0), rows_sha256=rows_sha256)


def test_a_strip_has_a_tooth_for_each_version_and_skips_scores_that_are_missing():
    versions = [
        Version("passed", accuracy(0.5), oid="0123456789", names=["verified"]),
        Version("failed"),
        Version("noted", accuracy(0.9), is_yanked=True),
    ]
    drawn = strip(versions)
    first, failed, last = drawn.columns
    assert (0 < first.x < failed.x < last.x, failed.heights) == (True, [])
    assert last.heights[0] < first.heights[0] < first.heights[1], "the higher the nearer to the top"
    assert drawn.joined == [(first, last)]
    assert drawn.words == "1 passed, 1 failed, 1 passed with notes, 1 yanked"
    assert versions[0].words == "01234567 · accuracy 0.50 (0.40 to 1.00) · passed · verified"
    assert strip(versions[:1]) is strip([]) is None
    assert strip([Version("waiting", accuracy(math.nan)), Version("waiting")]).scores == []
    assert len({one.heights[0] for one in strip([Version("passed", accuracy(1.0))] * 3).columns}) == 1


def test_a_strip_joins_scores_on_the_same_rows_alone():
    drawn = strip([Version("passed", accuracy(0.9, rows)) for rows in "abb"])
    assert [(one.x, other.x) for one, other in drawn.joined] == [(drawn.columns[1].x, drawn.columns[2].x)]
    assert drawn.scores == [0.9, 0.9]


@pytest.mark.parametrize(("count", "step"), [(2, 1), (12, 1), (13, 2), (30, 3)])
def test_commits_beneath_a_strip_have_room(count, step):
    assert strip([Version("passed")] * count).step == step


@pytest.mark.parametrize("values", [[], [0.0], [0.7, 0.7], [-3, 4], [0.82, 0.99], [1e300, 2e300], [123.4]])
def test_an_axis_names_round_values_between_its_ends(values):
    axis = around(values, 0.0, 100.0)
    assert all(0 <= axis.at(value) <= 100 for value in values)
    assert 2 <= len(axis.ticks) <= 7
    assert all(0 <= place <= 100 for _, place in axis.ticks)


@pytest.mark.parametrize("sizes", [(), (5,), (0, 5)])
def test_fewer_than_two_sizes_are_no_scatter(sizes):
    assert scatter(Measured("a", "/a", size, [0.5]) for size in sizes) is None


@pytest.mark.parametrize("lower", [False, True])
def test_a_scatter_has_the_better_above_and_joins_those_that_no_smaller_one_beats(lower):
    scores = {
        "tiny": (10, 0.4),
        "small": (1_000, 0.7),
        "worse": (2_000, 0.6),
        "same": (9_000, 0.7),
        "large": (90_000, 0.9),
    }
    given = [
        Measured(name, f"/{name}", size, [1 - score if lower else score]) for name, (size, score) in scores.items()
    ]
    drawn = scatter([*given, Measured("unknown", "/", 5, [])], lower_is_better=lower)
    assert [point.measured.name for point in drawn.best] == ["tiny", "small", "large"]
    heights = [point.heights[0] for point in drawn.points]
    assert heights[4] < heights[1] == heights[3] < heights[2] < heights[0]
    assert [point.x for point in drawn.points] == sorted(point.x for point in drawn.points)
    assert all(pictures.LEFT <= point.x <= pictures.RIGHT for point in drawn.points)
    assert [size for size, _ in drawn.sizes] == [10, 100, 1_000, 10_000]
    assert all(pictures.TOP <= y <= pictures.BOTTOM for _, y in drawn.axis.ticks)
    assert [point.measured.name for point in drawn.points if point.is_named] == ["tiny", "small", "large"]
    flat = scatter([Measured("a", "/a", 7, [0.5]), Measured("b", "/b", 7, [0.5])], lower_is_better=lower)
    middle = (pictures.LEFT + pictures.RIGHT) / 2
    assert [(point.x, point.is_best) for point in flat.points] == [(middle, True), (middle + pictures.BESIDE, False)]
    near = scatter(
        [Measured("a", "/a", 1_000_000, [0.93]), Measured("b", "/b", 1_000_090, [0.94])], lower_is_better=lower
    )
    assert near.points[1].x - near.points[0].x < 1, "their sizes are nearly equal"
    assert abs(near.points[1].heights[0] - near.points[0].heights[0]) < (pictures.BOTTOM - pictures.TOP) / 6
    assert len(near.sizes) == 1
    assert [(round(size), place) for size, place in scatter([*[Measured("a", "/", 307, [0.5])] * 2]).sizes] == [
        (307, (pictures.LEFT + pictures.RIGHT) / 2)
    ]


def test_the_commonest_kinds_of_a_scatter_have_colours_and_the_others_share_one():
    kinds = ["ia3", *["lora"] * 3, *["loha"] * 2]
    drawn = scatter(Measured("a", "/a", 7 + size, [0.5], kind) for size, kind in enumerate(kinds))
    assert drawn.kinds == [("lora", 0), ("loha", 1), ("ia3", 2)]
    assert [point.colour for point in drawn.points] == [2, 0, 0, 0, 1, 1]
    many = scatter(Measured("a", "/a", 7 + size, [0.5], f"kind-{size}") for size in range(9))
    assert many.kinds[-1] == ("", pictures.COLOURS - 1)
    assert {point.colour for point in many.points} == set(range(pictures.COLOURS))


def test_a_heat_map_has_kinds_as_rows_in_the_order_of_computing_and_layers_as_columns():
    values = {"m.layers.10.q_proj": 0.2, "m.layers.2.q_proj": 0.1, "m.layers.2.k_proj": 0.0, "m.layers.10.k_proj": None}
    drawn = heat_map({**values, "base_model.model.head": 7.0})
    assert drawn.layers == ["m.layers.2", "m.layers.10"]
    assert [row.label for row in drawn.rows] == ["q_proj", "k_proj"]
    q, k = ([(cell.place, cell.level, cell.words) for cell in row.cells] for row in drawn.rows)
    assert q == [(0, "level-3", "0.10"), (1, "level-5", "0.20")]
    assert k == [(0, "level-0", "0.00"), (1, "unknown", "")]
    assert drawn.lines == [("m.layers.2", ["0.10", "0.00"]), ("m.layers.10", ["0.20", ""])]
    assert drawn.apart == [("head", "7.00")], "it does not stretch the scale"
    assert drawn.labels == [(25.0, "2"), (75.0, "10")]
    assert heat_map({}) is None


def test_a_signed_heat_map_tells_below_zero_from_above():
    drawn = heat_map({"l.0.q": -0.4, "l.1.q": 0.2, "l.2.q": 0.0}, percent, is_signed=True)
    assert [cell.level for cell in drawn.rows[0].cells] == ["level-5 less", "level-3", "level-0"]
    assert drawn.ends == ("-40 %", "40 %")
    assert [level for level, _ in drawn.key][:2] == ["level-5 less", "level-4 less"]
    assert len(drawn.key) == 10


def test_kinds_of_one_last_name_are_told_apart():
    names = ("attention.output.dense", "output.dense", "intermediate.dense", "attention.self.query")
    drawn = heat_map({f"encoder.layer.0.{name}": 1.0 for name in names})
    assert {row.kind: row.label for row in drawn.rows} == {
        "attention.output.dense": "attention.output.dense",
        "output.dense": "output.dense",
        "intermediate.dense": "intermediate.dense",
        "attention.self.query": "query",
    }


def test_layers_of_two_stacks_are_named():
    values = {f"{stack}.block.{layer}.q": 1.0 for stack in ("encoder", "decoder") for layer in range(2)}
    assert heat_map(values).stacks == [(25.0, "decoder.block"), (75.0, "encoder.block")]


@pytest.mark.parametrize("value", [0.0, 1.0, math.nan, math.inf, None])
def test_a_heat_map_of_ten_thousand_modules_is_bounded(value):
    drawn = heat_map({f"layers.{layer}.{kind}": value for layer in range(250) for kind in range(40)})
    assert (len(drawn.rows), len(drawn.layers)) == (MAX_ROWS, MAX_LAYERS)
    assert all(len(row.cells) == MAX_LAYERS for row in drawn.rows)
    assert (drawn.rows_left_out, drawn.layers_left_out) == (28, 122)
