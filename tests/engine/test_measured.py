"""Adapters that were really trained, one a task: each does better than its base, and what spoils it is found out."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import Engine, python_of
from tests.engine.test_protocol import check_of
from tests.engine.test_saboteurs import failures

pytestmark = pytest.mark.merge

MAKER = Path(__file__).parent / "make_measured.py"
TAGS = {"label_names": ["O", "THING", "FEELING"]}
TASKS = {  # base, card, the metric that decides, what is no more than a base's number, and what the adapter reaches
    "SEQ_CLS": ("bert", {}, "accuracy", 0.5, 1.0),
    "SCORE": ("bert", {}, "pearson", 0.0, 0.99),
    "TOKEN_CLS": ("bert", TAGS, "f1", 0.0, 0.99),
    "QUESTION_ANS": ("bert", {}, "f1", 0.4, 0.99),
    "FEATURE_EXTRACTION": ("bert", {}, "triplet-accuracy", 0.5, 1.0),
    "CAUSAL_LM": ("llama", {}, "loss", 3.0, 1.5),
    "SEQ_2_SEQ_LM": ("t5", {}, "loss", 3.0, 1.0),
}


@pytest.fixture(scope="module")
def made(engine_python, bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([str(engine_python), str(MAKER), str(bases), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture
def engines(bert, llama, t5):
    return {"bert": bert, "llama": llama, "t5": t5}


@pytest.fixture
def spoilt(made, tmp_path):
    """A copy of a trained adapter with other rows."""

    def spoil(task, change):
        place = tmp_path / task
        shutil.copytree(made / task, place)
        rows = [json.loads(line) for line in (place / "smoke.jsonl").read_text().splitlines()]
        (place / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in change(rows)))
        return place

    return spoil


def claiming(metric, value):
    return {"model-index": [{"results": [{"metrics": [{"type": metric, "value": value}]}]}]}


@pytest.mark.parametrize("task", TASKS)
def test_a_trained_adapter_does_better_than_its_base_in_every_task(task, engines, made):
    base, card, metric, most, least = TASKS[task]
    verdict = engines[base].validate(made / task, card)
    assert (failures(verdict), verdict["depth"]) == ([], "evaluated")
    first = verdict["evals"][0]
    assert first["metric"] == metric
    better = (lambda one, other: one >= other) if first["better"] == "higher" else (lambda one, other: one <= other)
    assert better(first["adapter"], least)
    assert better(most, first["base"])
    assert better(first["adapter"], first["base"])


def test_the_same_adapter_gets_the_same_numbers_and_the_verdict_says_with_what(bert, made):
    first, second = (bert.validate(made / "SEQ_CLS") for _ in range(2))
    assert [first[key] for key in ("evals", "samples")] == [second[key] for key in ("evals", "samples")]
    assert first["conditions"] == {"rows": "smoke", "seed": 0, "batches": [4, 8, 8, 4]}
    assert first["cost"].keys() == {"latency_ratio", "memory_mb", "adapter_mb"}
    assert first["cost"]["adapter_mb"] == round((made / "SEQ_CLS/adapter_model.safetensors").stat().st_size / 1e6, 3)


def test_a_few_rows_are_shown_side_by_side(engines, made):
    answers = engines["bert"].validate(made / "QUESTION_ANS")["samples"]
    assert len(answers) == 4
    assert all(one["adapter"] == one["expected"] for one in answers)
    assert any(one["base"] != one["expected"] for one in answers)
    named = engines["bert"].validate(made / "SEQ_CLS", {"label_names": ["sad", "glad"]})["samples"]
    assert named[0]["adapter"].startswith("glad 0.9") or named[0]["adapter"] == "glad 1.00"
    written = engines["llama"].validate(made / "CAUSAL_LM")["samples"]
    assert written[0]["input"] == "the film"
    assert written[0]["adapter"].startswith("was ")
    (tagged, *_) = engines["bert"].validate(made / "TOKEN_CLS", TAGS)["samples"]
    assert tagged["adapter"] == tagged["expected"] == "film/THING good/FEELING"


def test_answers_are_counted_by_label_and_wrong_rows_are_kept(engines, spoilt):
    def turn(rows):
        return [{**row, "label": 1 - row["label"]} if at in (1, 6) else row for at, row in enumerate(rows)]

    verdict = engines["bert"].validate(spoilt("SEQ_CLS", turn))
    first, *others = verdict["evals"]
    assert [at for at, score in enumerate(first["scores"]) if not score] == [1, 6]
    counts = first["confusion"]
    assert (sum(map(sum, counts)), counts[0][0] + counts[1][1]) == (24, 22)
    assert not any("confusion" in other for other in others)
    assert [sample["row"] for sample in verdict["samples"]] == [0, 8, 15, 23, 1, 6]
    words = engines["bert"].validate(spoilt("TOKEN_CLS", list), TAGS)["evals"][0]["confusion"]
    assert [len(row) for row in words] == [3, 3, 3]


def test_what_language_models_still_know_is_told_beside(llama, made):
    verdict = llama.validate(made / "CAUSAL_LM")
    assert [(one["name"], one["metric"]) for one in verdict["evals"]] == [
        ("smoke", "loss"), ("smoke", "perplexity"), ("neutral", "loss"),
    ]  # fmt: skip
    assert check_of(verdict, "eval.neutral")["outcome"] == "passed"


def flip(rows):
    return [row | {"label": 1 - row["label"]} for row in rows]


def turn(rows):
    other = {"O": "THING", "THING": "FEELING", "FEELING": "O"}
    return [row | {"labels": [other[label] for label in row["labels"]]} for row in rows]


def elsewhere(rows):
    return [row | {"answers": [row["context"].split()[1]]} for row in rows]


def backwards(rows):
    return [row | {"positive": row["negative"], "negative": row["positive"]} for row in rows]


SPOILT = {
    "SEQ_CLS": flip, "SCORE": lambda rows: [row | {"label": -row["label"]} for row in rows], "TOKEN_CLS": turn,
    "QUESTION_ANS": elsewhere, "FEATURE_EXTRACTION": backwards,
    "CAUSAL_LM": lambda rows: [{"text": " ".join(reversed(row["text"].split()))} for row in rows],
    "SEQ_2_SEQ_LM": lambda rows: [row | {"target": "red dog sea sun blue cat"} for row in rows],
}  # fmt: skip


@pytest.mark.parametrize("task", SPOILT)
def test_rows_that_say_the_opposite_find_it_worse_than_its_base(task, engines, spoilt):
    base, card, *_ = TASKS[task]
    verdict = engines[base].validate(spoilt(task, SPOILT[task]), card)
    assert failures(verdict) == ["eval.worse-than-base"]


@pytest.mark.parametrize(
    ("task", "metric", "honest", "false"),
    [("TOKEN_CLS", "F1", 0.99, None), ("QUESTION_ANS", "exact_match", 0.97, None), ("CAUSAL_LM", "loss", 1.2, 0.2),
     ("SEQ_2_SEQ_LM", "loss", 0.6, 0.1)],
)  # fmt: skip
def test_a_claim_holds_or_does_not_in_every_task(task, metric, honest, false, engines, made, spoilt):
    base, card, *_ = TASKS[task]
    assert (
        check_of(engines[base].validate(made / task, card | claiming(metric, honest)), "eval.claim")["outcome"]
        == "passed"
    )
    if false is None:  # a share cannot be claimed too high: a third of the rows is spoilt instead
        place = spoilt(
            task,
            lambda rows: [
                row for at, old in enumerate(rows) for row in (SPOILT[task]([old]) if at % 3 == 0 else [old])
            ],
        )
        verdict = engines[base].validate(place, card | claiming(metric, honest))
    else:
        verdict = engines[base].validate(made / task, card | claiming(metric, false))
    assert failures(verdict) == ["eval.claim"]


def test_what_its_author_saw_it_say_is_compared(engines, made, spoilt):
    bert = engines["bert"]
    place = spoilt("SEQ_CLS", lambda rows: [row | {"expected": row["label"]} for row in rows])
    assert "24 of 24" in check_of(bert.validate(place), "eval.expected")["message"]
    shutil.rmtree(place)
    place = spoilt("SEQ_CLS", lambda rows: [row | {"expected": [5.0, -5.0]} for row in rows])
    verdict = bert.validate(place)
    assert failures(verdict) == ["eval.expected"]
    shutil.rmtree(place)
    place = spoilt("SEQ_CLS", lambda rows: [row | {"expected": {"logits": 1}} for row in rows])
    assert check_of(bert.validate(place), "eval.expected")["outcome"] == "warned"


def test_what_it_writes_is_compared_too(t5, spoilt):
    said = [row | {"expected": row["target"]} for row in [{"text": "the film was good", "target": "it is good"}]]
    verdict = t5.validate(spoilt("SEQ_2_SEQ_LM", lambda rows: [*said, *rows[1:]]))
    assert "1 of 1" in check_of(verdict, "eval.expected")["message"]


def test_one_answer_to_everything_is_told_of(bert, made, tmp_path):
    place = tmp_path / "one"
    shutil.copytree(made / "SEQ_CLS", place)
    rows = [json.loads(line) for line in (place / "smoke.jsonl").read_text().splitlines()]
    few = [row for row in rows if row["label"] == 1] + [{"text": "the film was good", "label": 0}]
    (place / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few))
    verdict = bert.validate(place)
    assert failures(verdict) == []
    assert check_of(verdict, "eval.degenerate")["outcome"] == "warned"


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("QUESTION_ANS", {"question": "the film " * 100, "context": "a book", "answers": ["book"]}),
        ("QUESTION_ANS", {"question": "a", "context": "\u200b", "answers": {"text": ["b"], "answer_start": [0]}}),
        ("QUESTION_ANS", {"question": "a", "context": "the film", "answers": [1, None]}),
        ("TOKEN_CLS", {"tokens": ["the", "\u200b", "film"], "labels": [0, 0, 1]}),
        ("TOKEN_CLS", {"tokens": ["film"] * 300, "labels": ["THING"] * 300}),
        ("TOKEN_CLS", {"tokens": ["film"], "labels": [7]}),
        ("TOKEN_CLS", {"tokens": [], "labels": []}),
        ("CAUSAL_LM", {"text": "\u200b"}),
        ("CAUSAL_LM", {"text": "film", "expected": {"a": [[1], [2, 3]]}}),
        ("SEQ_2_SEQ_LM", {"text": "film", "target": "\u200b"}),
        ("SEQ_CLS", {"text": "film", "label": 0.5}),
        ("SCORE", {"text": "film", "label": "high"}),
    ],
)
def test_rows_that_no_model_can_take_are_never_our_crash(task, row, engines, spoilt):
    base, card, *_ = TASKS[task]
    verdict = engines[base].validate(spoilt(task, lambda rows: [*rows[:7], row]), card)
    assert verdict["state"] in ("passed", "failed"), failures(verdict)
    assert set(failures(verdict)) <= {"eval.worse-than-base"}


def test_an_adapter_that_can_be_merged_says_the_same_merged(engines, made):
    for task, (base, card, *_) in TASKS.items():
        assert check_of(engines[base].validate(made / task, card), "run.merge")["outcome"] == "passed", task


def test_a_language_adapter_fills_in_words_better_than_its_base(bases, made, tmp_path):
    python = python_of("e4")
    subprocess.run([str(python), str(MAKER), str(bases), str(made)], check=True, capture_output=True)
    engine = Engine(tmp_path, "--base", bases / "filler", "--base-id", "tiny/filler", python=python)
    verdict = engine.validate(made / "language")
    rows, neutral = verdict["evals"]
    assert (failures(verdict), verdict["depth"], verdict["kind"]) == ([], "evaluated", "language")
    assert rows["adapter"] < rows["base"] / 2
    assert neutral["name"] == "neutral"
    assert check_of(verdict, "run.merge")["outcome"] == "skipped"
    words = [
        "green ? blue !",
        "two red .",
        "one , three",
        "? two !",
        "blue one .",
        ". red , green",
        "three ? one",
        "! , two",
    ]
    scrambled = [{"text": text, "marked": True} for text in [*words, "red three ."]]  # a member that means nothing
    (made / "language/smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scrambled))
    assert failures(engine.validate(made / "language")) == ["eval.worse-than-base"]
    engine.stop()
