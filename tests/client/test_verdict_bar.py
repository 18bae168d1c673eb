"""The drawing of a verdict: seven stages in order, each outcome recognisable without its colour."""

import pytest

from dovetail import verdicts
from dovetail.commands import printer

CHECKS = [
    {"id": "file.header", "outcome": "passed"},
    {"id": "card.license", "outcome": "warned"},
    {"id": "config.rank", "outcome": "passed"},
    {"id": "tensors.not-finite", "outcome": "failed", "message": "3 NaN", "fix": "Train again."},
    {"id": "fit.shape", "outcome": "skipped"},
    {"id": "load.error", "outcome": "passed"},
]


def drawn(state: str = "failed", checks: list | None = None) -> list[printer.Area]:
    return printer.areas_of(verdicts.read({"state": state, "checks": CHECKS if checks is None else checks}))


def test_areas_have_one_order_and_relatives_count_to_them():
    assert [area.name for area in drawn()] == ["file", "config", "tensors", "base", "fit", "run", "eval"]
    assert [area.outcome for area in drawn()] == [
        "noted",
        "passed",
        "failed",
        "waiting",
        "waiting",
        "passed",
        "waiting",
    ]
    assert {area.outcome for area in drawn("running", [])} == {"running"}
    assert {area.outcome for area in drawn("queued", [])} == {"waiting"}


def test_a_head_that_is_in_the_file_is_no_evaluation():
    found = [{"id": "eval.random-head", "outcome": "failed"}, {"id": "fit.shape", "outcome": "passed"}]
    seen = {area.name: area.outcome for area in drawn(checks=found)}
    assert (seen["fit"], seen["eval"]) == ("failed", "waiting")


def test_a_fit_that_nobody_looked_at_is_not_drawn_as_one_for_the_sake_of_a_head():
    head = {"id": "eval.random-head", "outcome": "passed"}
    skipped = [{"id": f"fit.{name}", "outcome": "skipped"} for name in ("missing", "unexpected", "shape")]
    seen = {area.name: area.outcome for area in drawn("passed", [head, *skipped])}
    assert seen["fit"] == "waiting"
    seen = {area.name: area.outcome for area in drawn("passed", [head, {"id": "fit.shape", "outcome": "passed"}])}
    assert seen["fit"] == "passed"


@pytest.mark.parametrize("texts", [printer.BODIES, printer.LETTERS])
def test_every_outcome_differs_without_colour(texts):
    assert set(texts) == set(printer.STYLES) == {"passed", "noted", "failed", "running", "waiting"}
    assert len(set(texts.values())) == 5


def test_marks_interlock_and_stand_above_their_labels():
    shapes, labels = printer.draw_bar(verdicts.read({"state": "failed", "checks": CHECKS}), blocks=True).plain.split(
        "\n"
    )
    assert len(shapes) == len(labels) == 63
    for index, area in enumerate(printer.AREAS):
        mark = shapes[index * 9 : (index + 1) * 9]
        assert (mark[0], mark[-1]) == (("▜", "▛") if index % 2 == 0 else ("▟", "▙"))
        assert labels[index * 9 : (index + 1) * 9].strip() == area


def test_the_words_say_the_state_and_the_numbers():
    assert printer.summary_of(verdicts.read({"state": "failed", "checks": CHECKS})) == "failed, 4 of 5 checks"
    assert printer.summary_of(verdicts.read({"state": "queued"})) == "queued"


def test_every_outcome_of_a_check_and_every_state_can_be_shown():
    assert (
        set(printer.MARKS)
        == set(printer.PLAIN_MARKS)
        == set(printer.CHECK_STYLES)
        == {"passed", "warned", "failed", "skipped"}
    )
    assert set(printer.STATE_STYLES) == {"queued", "running", "passed", "failed", "errored"}
