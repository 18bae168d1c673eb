"""Tries of adapters that were really trained: base and adapter answer a person's texts in every task."""

import subprocess

import pytest

from tests.engine.conftest import Engine, bases, bert, engine_python, llama, python_of, t5  # noqa: F401 - fixtures
from tests.engine.test_measured import MAKER, TASKS, engines, made  # noqa: F401 - fixtures

pytestmark = pytest.mark.merge


def answer(engine, folder, *texts, card=None):
    """Give the folder's adapter and its base a person's texts; return the answer, or the sentence that refuses."""
    engine._send(folder, card, module="features.tries.engine", more={"texts": texts, "new_tokens": 8})
    heard = engine._hear()
    assert heard["event"] == "answered"
    assert heard["job"] == str(engine.jobs)
    return heard["answer"] or heard["reason"]


GOOD, BAD = "the film was good", "the film was bad"
MARKS = [(4, "THING"), (13, "FEELING")]
TRIED = {  # the texts of a try, and whether an answer is one that was learned
    "SEQ_CLS": ([GOOD], lambda one: one["labels"][0]["value"] > 0.99),
    "SCORE": ([GOOD], lambda one: one["labels"][0]["value"] > 1.4),
    "TOKEN_CLS": ([GOOD], lambda one: [(each["start"], each["label"]) for each in one["marks"]] == MARKS),
    "QUESTION_ANS": (["what was bad", "the dog and the book was bad"], lambda one: one["text"] == "book"),
    "FEATURE_EXTRACTION": ([GOOD, BAD], lambda one: one["similarity"] < 0.6),
    "CAUSAL_LM": (["the film"], lambda one: one["text"].startswith("was ")),
    "SEQ_2_SEQ_LM": (["the film was awful"], lambda one: one["text"].startswith("it is bad")),
}


@pytest.mark.parametrize("task", TRIED)
def test_a_persons_text_is_answered_in_every_task(task, engines, made):
    base, card, *_ = TASKS[task]
    texts, is_learned = TRIED[task]
    said = answer(engines[base], made / task, *texts, card=card)
    assert said["tokens_read"] == said["tokens"] > 0
    assert [is_learned(said[side]) for side in ("base", "adapter")] == [False, True], said


def test_a_language_adapter_fills_in_words(bases, made, tmp_path):
    python = python_of("e4")
    subprocess.run([str(python), str(MAKER), str(bases), str(made)], check=True, capture_output=True)
    engine = Engine(tmp_path, "--base", bases / "filler", "--base-id", "tiny/filler", python=python)
    assert "[MASK]" in answer(engine, made / "language", "the film was good")
    filled = answer(engine, made / "language", "the [MASK] was [MASK]")
    assert (filled["task"], filled["adapter"]["text"]) == ("MASKED_LM", "film, good")
    assert filled["base"]["text"] != "film, good"
    engine.stop()


def test_a_resident_process_answers_as_a_child_does(bases, made, tmp_path):
    """As on a device, whose process was jailed before the first try came."""
    said = []
    for more in ((), ("--no-fork",)):
        engine = Engine(tmp_path, "--base", bases / "bert", "--base-id", "tiny/bert", *more)
        said.append(answer(engine, made / "SEQ_CLS", GOOD))
        engine.stop()
    assert said[0] == said[1]
    assert said[0]["adapter"]["labels"][0]["value"] > 0.99
