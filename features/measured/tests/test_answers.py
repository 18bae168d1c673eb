"""The answer of a rule, and what the engine did when it was tried: the worse of both counts."""

import re
from dataclasses import replace

from dovetail.adapters.results.report import Measured, Serving
from dovetail.commands.printer import Printer
from features.measured.feature import judged, worst
from tests.sweep import sweep

ALL = Measured(engine="vllm 0.32.0", modules=62, of=62)
PART = Measured(engine="vllm 0.32.0", modules=31, of=62, missed=("vision_tower.q_proj",))
NONE = Measured(engine="vllm 0.32.0", modules=0, of=62, missed=("model.layers.0.self_attn.q_proj",))
REFUSED = Measured(engine="vllm 0.32.0", of=62, refusal="vLLM does not yet support DoRA.")
RAN = replace(ALL, depth="run", answer="adapter")
OF_THE_BASE = replace(ALL, depth="run", answer="base")
OF_NEITHER = replace(ALL, depth="run", answer="neither")


def rule(outcome):
    flags = ["--enable-lora"] if outcome == "serves" else []
    return Serving("vllm", "0.33.0", outcome=outcome, reason="as the rule says", flags=flags, rules=[])


@sweep(
    "before, measured, outcome, by, reason",
    [
        ("serves", ALL, "serves", "measured", "as the rule says"),
        ("serves", PART, "wrong", "measured", "31 of 62 modules .* dropped without an error: vision_tower.q_proj"),
        ("serves", NONE, "wrong", "measured", "0 of 62 modules .* the base alone answers"),
        ("serves", REFUSED, "refuses", "measured", "refuses: vLLM does not yet support DoRA"),
        ("serves", RAN, "serves", "measured", "as the rule says"),
        ("serves", OF_THE_BASE, "wrong", "measured", "ran it on a small base .* answers as the base alone does"),
        ("serves", OF_NEITHER, "wrong", "measured", "answers neither as PEFT does with it nor as the base"),
        ("unknown", RAN, "unknown", "rule", "as the rule says"),
        ("wrong", RAN, "wrong", "rule", "as the rule says"),
        ("wrong", OF_NEITHER, "wrong", "measured", "as the rule says"),
        ("unknown", ALL, "unknown", "rule", "as the rule says"),
        ("unknown", NONE, "wrong", "measured", "0 of 62 modules"),
        ("unknown", REFUSED, "refuses", "measured", "DoRA"),
        ("wrong", ALL, "wrong", "rule", "as the rule says"),
        ("wrong", NONE, "wrong", "measured", "as the rule says"),
        ("wrong", REFUSED, "refuses", "measured", "DoRA"),
        ("refuses", ALL, "refuses", "rule", "as the rule says"),
        ("refuses", REFUSED, "refuses", "measured", "as the rule says"),
    ],
)
def test_the_worse_of_rule_and_trial_counts(before, measured, outcome, by, reason):
    answer = judged(rule(before), measured)
    assert (answer.outcome, answer.by, answer.measured) == (outcome, by, measured)
    assert re.search(reason, answer.reason)
    assert bool(answer.flags) == (outcome == "serves"), "no flags for what it does not serve"


def test_of_several_adapters_the_one_that_fares_worst_counts():
    assert worst([ALL, PART, NONE]) == NONE
    assert worst([NONE, REFUSED, ALL]) == REFUSED


def test_what_was_measured_is_kept_in_the_document_and_taken_from_no_engine():
    document = judged(rule("serves"), ALL).as_json()
    assert document["measured"] == {
        "depth": "mapping", "engine": "vllm 0.32.0", "modules": 62, "of": 62, "missed": [], "refusal": "",
    }  # fmt: skip
    assert Serving.read(document).measured == ALL
    claimed = Serving.parse(document)
    assert (claimed.by, claimed.measured) == (None, None), "an engine that proves cannot claim that vLLM was tried"


def test_the_command_line_says_which_answers_were_measured_and_why_a_trial_refused(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    by_rule = Serving("tgi", "3.3.7", outcome="refuses", reason="TGI reads LoRA.", by="rule")
    Printer().serving([judged(rule("serves"), ALL), judged(rule("serves"), REFUSED), by_rule])
    served, tried, ruled = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +serves +vllm +measured +--enable-lora *", served)
    assert re.fullmatch(
        r" +refuses +vllm +measured +vLLM 0.32.0 was tried .* vLLM does not yet support DoRA\. *", tried
    )
    assert re.fullmatch(r" +refuses +tgi *", ruled)
