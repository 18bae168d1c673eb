"""The bar says what the verdict says, also without colour and without eyes."""

import itertools
import re

import pytest
from django.template import Context, Template

from dovetail.adapters.results.report import CheckResult, Report
from hub.site.proof import Document
from hub.site.verdict_summary import AREAS, shapes, summarize, summary_text


def verdict(state, *checks):
    return Report(state=state, checks=tuple(CheckResult(id, outcome, "m") for id, outcome in checks))


def outcomes(*args):
    return [area.outcome for area in summarize(verdict(*args))]


def drawn(said, tag="{% verdict_bar said %}"):
    shown = Document(said) if isinstance(said, Report) else said
    return Template("{% load dovetail %}" + tag).render(Context({"said": shown}))


def test_there_are_seven_areas_in_one_order():
    assert [area.area for area in summarize(None)] == ["file", "config", "tensors", "base", "fit", "run", "eval"]


@pytest.mark.parametrize(
    ("check", "area"),
    [
        ("load.error", "run"),
        ("limits.time", "run"),
        ("card.license", "file"),
        ("privacy.secret", "file"),
        ("tensors.pair", "tensors"),
        ("eval.random-head", "fit"),
        ("eval.claim", "eval"),
    ],
)
def test_areas_without_a_mark_count_to_their_neighbour(check, area):
    failed = [area.area for area in summarize(verdict("failed", (check, "failed"))) if area.outcome == "failed"]
    assert failed == [area]


def test_the_worst_outcome_of_an_area_is_the_one_drawn():
    assert (
        outcomes("failed", ("file.header", "passed"), ("file.size", "failed"), ("file.pickle", "warned"))[0] == "failed"
    )
    assert outcomes("passed", ("file.header", "passed"), ("file.size", "warned"))[0] == "noted"


def test_an_area_whose_checks_were_all_skipped_was_not_reached():
    assert outcomes("failed", ("file.header", "failed"), ("tensors.pair", "skipped"))[2] == "waiting"


def test_what_is_not_reached_yet_runs_while_the_verdict_runs():
    assert outcomes("running", ("file.header", "passed")) == ["passed", *["running"] * 6]
    assert outcomes("queued") == ["waiting"] * 7


def test_a_crash_of_a_check_blames_no_area():
    assert outcomes("errored", ("engine.check-crashed", "failed")) == ["waiting"] * 7


def test_neighbours_interlock():
    """A tail is wide above, a pin wide below, and no mark runs into the next."""
    sizes = {"pitch": 20.0, "height": 16.0, "lean": 6.0, "gap": 2.0}
    corners = [
        [tuple(map(float, pair.split())) for pair in shape.outline[1:-1].split("L")]
        for shape in shapes(summarize(verdict("queued")), **sizes)
    ]
    for left, right in itertools.pairwise(corners):
        for row in (0, -1):  # the upper edge, then the lower one
            assert right[row][0] - max(x for x, y in left if y == left[row][1]) == pytest.approx(sizes["gap"])


def test_a_failed_area_differs_in_shape_and_a_noted_one_is_marked():
    fine, bad = drawn(verdict("passed", ("run.x", "passed"))), drawn(verdict("failed", ("run.x", "failed")))
    assert re.findall(r' d="([^"]+)"', fine)[5] != re.findall(r' d="([^"]+)"', bad)[5]
    assert "kerf" in drawn(verdict("passed", ("run.x", "warned")))
    assert "kerf" not in fine


def test_the_text_twin_counts_checks_and_names_what_is_wrong():
    said = verdict("failed", ("file.header", "passed"), ("tensors.pair", "failed"), ("run.cost", "skipped"))
    assert summary_text(said) == "failed, 1 of 2 checks failed; tensors failed"
    assert 'role="img" aria-label="failed, 1 of 2 checks failed; tensors failed"' in " ".join(drawn(said).split())
    assert summary_text(None) == "no verdict yet"


def test_the_large_joint_is_labelled_and_needs_no_inline_style():
    svg = drawn(verdict("passed"), "{% verdict_bar said large=True %}")
    assert list(re.findall(r">(\w+)</text>", svg)) == list(AREAS)
    assert "style" not in svg


def test_commands_in_sentences_are_code_and_the_rest_is_escaped():
    shown = drawn("Add it with `manage.py shelf add <b>`; <script>", "{{ said|ticks }}")
    assert shown == "Add it with <code>manage.py shelf add &lt;b&gt;</code>; &lt;script&gt;"


def test_the_line_of_an_area_begins_with_the_check_that_tells_most():
    checks = (
        CheckResult("run.cost", "passed", "It costs 1.2×."),
        CheckResult("run.no-effect", "passed", "It changes outputs by 4.31."),
        CheckResult("run.not-finite", "warned", "Odd."),
    )
    area = summarize(Report(state="passed", checks=checks))[5]
    assert area.headline == "It changes outputs by 4.31. It costs 1.2×."
    assert [check.message for check in area.loud] == ["Odd."]
