"""The evaluation in full: rows, labels, cost and other library versions, as shapes and on the page."""

import re
from dataclasses import replace
from html import unescape

import pytest

from dovetail.adapters.results.report import Conditions, Evaluation, Report, Sample, ScalePoint, Strength
from features.evaluation.pages import confusion_of, curve_of, rows_of
from registry.models import Attempt, Base, Verdict
from registry.people import gates
from registry.proof.verdicts import requests
from tests.api.conftest import BASE, FILES, judged, pushed
from tests.api.conftest import accuracy as of_rows
from tests.site.conftest import CHECKS

AT = "/alice/measured/verdict/main"
SAMPLES = [
    {"input": "the film was <b>good</b>", "expected": "glad", "base": "sad 0.51", "adapter": "glad 0.99", "row": 0},
    {"input": "the room was awful", "expected": "sad", "base": "sad 0.55", "adapter": "", "row": 47},
]
COST = {"latency_ratio": 1.2, "memory_mb": 23.4, "adapter_mb": 0.3}
CONDITIONS = {"rows": "smoke", "seed": 0, "batches": [4, 8, 8, 4], "label_names": ["sad", "glad"]}
ENGINES = [
    {
        "name": "e5",
        "transformers": "5.24.0",
        "state": "failed",
        "check": "load.error",
        "message": "It has no prefix.",
    },
    {"name": "e4", "transformers": "4.57.6", "state": "passed"},
]


def text(answer) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


@pytest.fixture
def measured(cast):
    made = cast.repository("alice/measured")
    evals = [of_rows(46, confusion=[[24, 0], [2, 22]])]
    engine = {"name": "e4", "transformers": "4.57.6"}
    shown = {"samples": SAMPLES, "cost": COST, "conditions": CONDITIONS, "engine": engine, "engines": ENGINES}
    judged(pushed(cast, made), checks=CHECKS, evals=evals, depth="evaluated", base={"id": BASE}, **shown)
    return made


def evaluation(scores=(1.0, 0.0, 0.5), **more) -> Evaluation:
    return Evaluation("smoke", len(scores), "accuracy", adapter=0.5, scores=scores, **more)


# --- numbers in, shapes out -------------------------------------------------------------------------------------------
def test_each_row_is_right_partly_right_or_wrong():
    samples = (Sample("a", "x", row=1), Sample("b", "x"), Sample("c", "x", row=900))
    rows = rows_of(Report(state="passed", evals=(evaluation(),), samples=samples))
    assert [(at, outcome, stored) for at, outcome, _, stored in rows.bars] == [
        (1, "right", False),
        (2, "wrong", True),
        (3, "partly", False),
    ]
    assert [(row.number, row.outcome) for row in rows.stored] == [(2, "wrong"), (None, ""), (901, "")]
    assert (rows.right, rows.wrong, rows.total) == (1, 1, 3)


@pytest.mark.parametrize("item", [evaluation((2.5, 3.1)), evaluation(better="lower"), evaluation(())])
def test_rows_of_losses_are_neither_right_nor_wrong(item):
    rows = rows_of(Report(state="passed", evals=(item,), samples=(Sample("a", row=0),)))
    assert (rows.bars, rows.stored[0].outcome) == ([], "")
    assert rows_of(Report(state="passed", evals=(item,))) is None


def test_labels_that_nobody_gave_or_has_are_left_out():
    counts = ((3.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 4.0))
    said = Conditions(label_names=("a", "b", "c"))
    drawn = confusion_of(Report(state="passed", evals=(evaluation(confusion=counts),), conditions=said))
    assert list(drawn.names) == ["a", "b", "c"], "b was answered once"
    assert [(row.name, row.right, row.total) for row in drawn.rows] == [("a", 3, 4), ("b", 0, 0), ("c", 4, 4)]
    assert drawn.rows[0].cells == [(3, "level-4"), (1, "level-2 less"), (0, "level-0")]


@pytest.mark.parametrize(
    "counts", [((1.0,),), ((1.0, 2.0), (1.0,)), ((-1.0, 2.0), (1.0, 1e300)), ((1.0,) * 31,) * 31, None]
)
def test_a_matrix_that_cannot_be_one_is_not_drawn(counts):
    assert confusion_of(Report(state="passed", evals=(evaluation(confusion=counts),))) is None


def test_a_curve_has_the_interval_of_its_own_metric_and_shares_of_the_full_effect():
    points = [ScalePoint(0.0, 0.0, 0.5, 0.0), ScalePoint(1.0, 200.0, 0.9, 50.0), ScalePoint(1.25, 250.0, 0.8, 60.0)]
    strength = Strength("accuracy", rows=24, points=tuple(points), recommended=1.0)
    report = Report(state="passed", evals=(evaluation(interval=(0.8, 1.0)),), strength=strength)
    drawn = curve_of(report)
    assert [point[-2:] for point in drawn.points] == [(0.0, 0.0), (1.0, 0.25), (1.25, 0.3)]
    low, high = drawn.whisker
    assert high < drawn.points[1][2] < low
    assert curve_of(replace(report, strength=replace(strength, metric="loss"))).whisker == []
    assert curve_of(replace(report, strength=replace(strength, points=()))) is curve_of(Report(state="passed")) is None


# --- on the page ------------------------------------------------------------------------------------------------------
def test_rows_are_shown_side_by_side_as_text_and_wrong_ones_can_be_chosen(visit, measured):
    page = visit().get(AT).content.decode()
    part = page.partition('id="samples"')[2].partition("</table>")[0]
    assert "the film was &lt;b&gt;good&lt;/b&gt;" in part
    for said in ("glad 0.99", "sad 0.51", "Expected", "nothing", "46 of 48 rows are right", "2 of 48 are stored"):
        assert said in " ".join(part.split())
    assert part.count('name="shown-rows"') == 2
    assert part.count('<a href="#row-') == 2
    assert re.search(r'id="row-48"\s+class="row-wrong"', part)


def test_labels_are_counted_by_expected_and_answered(visit, measured):
    part = text(visit().get(AT)).partition("Which labels it mixes up")[2]
    assert part.startswith(" number of rows Expected ↓ answered → sad glad Correct sad 24 · 24 of 24 glad 2 22 22 of")


def test_cost_is_beside_the_base(visit, measured):
    assert "1.20 times the base’s" in text(visit().get(AT))
    Base.objects.filter(pk=BASE).update(size=90_000_000, has_weights=True)
    assert "+ 23.4 MB on 90 MB of the base’s files" in text(visit().get(AT))


def test_the_page_says_on_which_engines_an_adapter_works_and_why_not_on_others(visit, measured):
    table = text(visit().get(AT)).partition("By library version")[2]
    assert "e4 transformers 4.57.6 passed decided accuracy 0.96" in table
    assert "e5 transformers 5.24.0 failed load.error It has no prefix." in table


def test_a_verdict_that_no_engine_gave_has_no_such_table(visit, cast):
    judged(pushed(cast, cast.repository("alice/none")), "failed", checks=[])
    assert "By library version" not in text(visit().get("/alice/none/verdict/main"))


def test_the_same_files_by_an_earlier_version_stay_beside_the_newest(
    visit, cast, measured, django_assert_max_num_queries
):
    revision = measured.refs.get(name="refs/heads/main").revision
    for version in ("4.58.0", "4.58.0", "4.59.0"):
        requests.request(revision, BASE, again=True)
        judged(revision, evals=[of_rows(40)], engine={"name": "e4", "transformers": version}, depth="evaluated")
    table = text(visit().get(AT)).partition("By library version")[2]
    newest, older, oldest = (table.index(f"transformers {version}") for version in ("4.59.0", "4.58.0", "4.57.6"))
    assert newest < older < oldest
    assert table.count("transformers 4.58.0") == 1
    assert "an earlier verdict, just now" in table
    with django_assert_max_num_queries(45):
        visit().get(AT)


def test_numbers_of_engines_that_disagree_are_marked(visit, cast):
    made = cast.repository("alice/reviews")
    row = {"name": "e5", "transformers": "5.24.0", "state": "passed"}
    number = {"name": "smoke.jsonl", "metric": "accuracy", "rows": 24, "adapter": 0.9167}
    for other, differs in ((0.9167, False), (0.91670001, False), (0.8333, True)):
        rows = [row | {"evals": [number]}, row | {"name": "e4", "evals": [number | {"adapter": other}]}]
        revision = pushed(cast, made, files=FILES | {"README.md": str(other).encode()})
        judged(revision, depth="evaluated", engine={"name": "e5"}, engines=rows, evals=[number])
        shown = text(visit("anonymous").get(f"/alice/reviews/verdict/{revision.oid}"))
        assert "accuracy 0.92" in shown
        assert ("from the numbers of e5: accuracy" in shown) == differs, other


def test_the_report_of_the_run_keeps_what_is_not_for_everybody(visit, cast, measured):
    Verdict.objects.update(request_id="hub;of-alice")
    Attempt.objects.update(worker="worker-7.internal")
    run = text(visit("alice").get(AT)).partition("Report of the run")[2]
    assert "batches of 4, 8, 8, 4" in run
    assert "run.no-effect 88.0 ms" in run
    assert "Attempt 1 passed" in run
    assert "hub;of-alice" in run
    assert "worker-7" not in run
    stranger = text(visit().get(AT))
    assert "hub;of-alice" not in stranger
    assert "worker-7" not in stranger


def test_rows_of_a_gated_file_are_shown_to_those_who_may_have_the_file(visit, cast, measured):
    gates.set_gate(measured, "manual", cast.session("alice"))
    assert "the room was awful" in visit("alice").get(AT).content.decode()
    page = visit("carol").get(AT).content.decode()
    assert "the room was awful" not in page
    assert "46 of 48 rows are right" in " ".join(page.split())


def test_a_verdict_of_plain_sentences_has_no_rows_and_no_labels(visit, cast):
    loss = {"name": "neutral", "rows": 8, "metric": "loss", "base": 3.2, "adapter": 3.9, "better": "lower"}
    judged(pushed(cast, cast.repository("alice/plain")), evals=[loss], depth="run")
    page = visit().get("/alice/plain/verdict/main").content.decode()
    assert 'id="samples"' not in page
    assert 'id="labels"' not in page
    assert 'class="pair"' not in page
