"""Reports as JSON: real ones of engines stay what they were, byte for byte, and hostile ones are refused or cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from dovetail.adapters.results.records import MAX_ITEMS, MAX_TEXT, Limits, Malformed, load
from dovetail.adapters.results.report import CheckResult, Evaluation, Report, Sample, Serving
from tests.sweep import sweep

# Recorded when reports were still dictionaries: what engines said, what was made of it, what was stored and served.
REAL = json.loads((Path(__file__).parent / "reports.json").read_text())
EXACT = Limits(text=100, exact=True)
GOOD = {"id": "file.header", "outcome": "passed"}
MINIMAL = {"state": "passed", "checks": [GOOD]}
BY_THE_HUB = ("fits", "engines", "contents", "path", "proven_with")


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_what_an_engine_said_is_believed_as_it_always_was(case):
    for said, believed in zip(case["said"], case["parsed"], strict=True):
        document = Report.parse(said).as_json()
        assert json.dumps({key: value for key, value in document.items() if key not in BY_THE_HUB}) == json.dumps(
            believed
        )


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_a_stored_report_is_read_and_written_without_a_change(case):
    report = Report.of_result(case["stored"], case["state"])
    assert json.dumps(report.as_result()) == json.dumps(case["stored"])
    assert report.state == case["state"]


@sweep(
    "said",
    [
        None,
        [],
        {"outcome": "passed"},
        GOOD | {"id": "../../etc"},
        GOOD | {"id": "a.b" * 40},
        GOOD | {"id": ["file.header"]},
        GOOD | {"outcome": "verified"},
        GOOD | {"outcome": ["passed"]},
        GOOD | {"message": 7},
        GOOD | {"duration_ms": 1e999},
        GOOD | {"duration_ms": True},
        GOOD | {"duration_ms": 10**400},
        GOOD | {"where": "here"},
        GOOD | {"where": {"a": {"b": {"c": {"d": 1}}}}},
        GOOD | {"where": dict.fromkeys(map(str, range(300)), 1)},
    ],
)
def test_a_check_that_no_engine_reports_is_refused(said):
    with pytest.raises(Malformed):
        CheckResult.parse(said)
    with pytest.raises(Malformed):
        Report.parse({"state": "passed", "checks": [said]})


@sweep(
    "change",
    [
        {"state": "failed"},
        {"state": "queued"},
        {"state": None},
        {"checks": []},
        {"checks": None},
        {"checks": GOOD},
        {"checks": [GOOD] * (MAX_ITEMS + 1)},
        {"checks": [GOOD | {"outcome": "failed"}]},
        {"checks": [GOOD | {"id": "engine.check-crashed", "outcome": "failed"}], "state": "failed"},
        {"depth": "deep"},
        {"engine": "e5"},
        {"engine": {"threads": "1"}},
        {"base": []},
        {"evals": [{"metric": "accuracy"}]},
        {"evals": [{"name": "x", "better": "bigger"}]},
        {"cost": {"memory_mb": float("nan")}},
        {"samples": [{"input": 1}]},
        {"conditions": {"batches": ["1"]}},
        {"serving": [{"engine": "vllm"}]},
        {"serving": [{"engine": "vllm", "outcome": "serves", "flags": "--x"}]},
    ],
)
def test_a_report_of_a_wrong_type_or_against_its_own_checks_is_refused(change):
    Report.parse(MINIMAL)
    with pytest.raises(Malformed):
        Report.parse(MINIMAL | change)


def test_text_is_cut_and_cleaned_of_what_databases_refuse():
    check = CheckResult.parse(GOOD | {"message": "a\x00b\ud800" + "c" * 9000, "state": "passed", "adapter": 1})
    assert check.message.startswith("a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}ccc")
    assert len(check.message) == MAX_TEXT
    assert check.as_json().keys() == {"id", "outcome", "message", "fix", "where", "duration_ms"}
    assert CheckResult.parse(GOOD | {"where": {"a\x00": ["\x1b"]}}).where == {"a\ufffd": ["\ufffd"]}


def test_an_engine_cannot_set_what_the_hub_says():
    forged = {
        "fits": {"bases": [{"base": "a/b", "fits": True, "has_weights": True, "why": ""}]},
        "engines": [{"name": "e9", "state": "passed"}],
        "contents": [{"path": "", "format": "peft", "kind": "lora", "proven": True}],
        "path": "elsewhere",
        "proven_with": {"engines": {}, "checks": "0", "rules": "0"},
    }
    assert forged.keys() == set(BY_THE_HUB)
    assert Report.parse(MINIMAL | forged | {"revision": "0" * 40, "attempt": 9}) == Report.parse(MINIMAL)


def test_nobody_is_said_to_serve_an_adapter_that_did_not_pass():
    serving = {"engine": "vllm", "outcome": "serves"}
    refused = GOOD | {"outcome": "failed"}
    assert Report.parse(MINIMAL | {"serving": [serving]}).serving == (Serving(engine="vllm", outcome="serves"),)
    assert Report.parse({"state": "failed", "checks": [refused], "serving": [serving]}).serving == ()


def test_an_exact_reader_refuses_what_another_one_cuts_or_fills_in_and_changes_no_character():
    said = Evaluation("rows", metric="x\x00").as_json()
    assert Evaluation.parse(said, EXACT).metric == "x\x00"
    for wrong in (said | {"name": "x" * 101}, said | {"extra": 1}, {"name": "rows"}):
        assert Evaluation.parse(wrong)
        with pytest.raises(Malformed):
            Evaluation.parse(wrong, EXACT)
    with pytest.raises(Malformed):
        Report.parse(Report(state="passed").as_json(), Limits(exact=True))


def test_an_older_or_newer_hub_is_read_as_far_as_it_is_known():
    assert Report.of_result({}, "queued") == Report(state="queued")
    check = {"id": "base.unknown", "outcome": "failed", "news": 1}
    report = Report.of_result({"checks": [check], "news": 1, "depth": None}, "failed")
    assert report.checks == (CheckResult("base.unknown", "failed"),)
    assert report.checks[0].duration_ms is None
    assert report.depth is None


@pytest.mark.parametrize("line", [b"", b"[]", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 100_000, b"\xff"])
def test_a_line_that_is_no_json_object_is_refused(line):
    with pytest.raises(Malformed):
        load(line)


def test_a_record_cannot_be_changed():
    sample: Any = Sample("x")
    with pytest.raises(AttributeError):
        sample.input = "y"
