"""An adapter is run on the rows of earlier versions too, which are no part of what it is judged by."""

import json

import pytest

from tests.adapters import SMOKE, facts_of, lora, smoke, with_file, write
from tests.engine.test_evaluation import TEXTS

pytestmark = pytest.mark.merge

ROWS = [{"text": text, "label": number % 2} for number, text in enumerate(TEXTS)]


def earlier(rows=ROWS, **more):
    return {"revision": "a" * 40, "rows": smoke(rows).decode(), "label_names": None, **more}


@pytest.fixture(scope="module")
def own(bert, tmp_path_factory):
    """The numbers of the adapter on the same rows as its own."""
    files = with_file(SMOKE, smoke(ROWS))(lora(seed=3))
    return bert.validate(write(files, tmp_path_factory.mktemp("own")), facts_of(files))["evals"][0]


def test_rows_beside_its_own_give_the_numbers_that_they_give_as_its_own(bert, tmp_path, own):
    files = with_file(SMOKE, smoke(ROWS[::-1]))(lora(seed=3))
    others = [earlier(), earlier(ROWS[:9], revision="b" * 40), earlier(ROWS[:7], revision="c" * 40)]
    report = bert.validate(write(files, tmp_path), facts_of(files), earlier=others)
    assert report["state"] == "passed"
    first, second = report["earlier"]
    assert (first["revision"], second["revision"]) == ("a" * 40, "b" * 40), "a third set is not run"
    number = first["evaluation"]
    same = ("rows", "metric", "adapter", "better", "scores", "rows_sha256", "task")
    assert {key: number[key] for key in same} == {key: own[key] for key in same}
    assert report["evals"][0]["rows_sha256"] != own["rows_sha256"], "its own are in another order"
    assert (number["base"], number["name"]) == (None, "earlier"), "the base was not run on them"


def test_an_adapter_without_rows_of_its_own_is_run_on_them_too(bert, tmp_path, own):
    report = bert.validate(write(lora(seed=3), tmp_path / "bert"), {}, earlier=[earlier()])
    assert report["depth"] == "run", "they are not its own"
    assert report["evals"] == []
    assert report["earlier"][0]["evaluation"]["scores"] == own["scores"]


def test_rows_that_are_its_own_are_run_once(bert, tmp_path):
    files = with_file(SMOKE, smoke(ROWS))(lora(seed=3))
    spaced = json.dumps(ROWS[0], indent=None, separators=(" , ", " : ")) + "\n" + smoke(ROWS[1:]).decode()
    report = bert.validate(write(files, tmp_path), facts_of(files), earlier=[{**earlier(), "rows": spaced}])
    assert "earlier" not in report


def named(*names):
    return {"label_names": list(names)}


@pytest.mark.parametrize(
    ("given", "facts", "words"),
    [
        (earlier([{"text": "a film", "target": "b"}] * 9), {}, "does not have the form of rows for SEQ_CLS"),
        (earlier([{"text": "a film", "label": 5}] * 9), {}, "the head has 2"),
        (earlier([{"text": "a film", "label": "good"}] * 9), named("calm", "wild"), "not in the label_names"),
        ({**earlier(), "rows": "no rows"}, {}, "line 1 is not JSON"),
        (earlier(ROWS * 11), {}, "1 to 256 rows"),
    ],
    ids=["another task", "more labels", "other labels", "no rows", "too many"],
)
def test_rows_that_cannot_be_run_say_why_and_fail_nothing(bert, tmp_path, given, facts, words):
    report = bert.validate(write(lora(seed=3), tmp_path), facts, earlier=[given])
    (rows,) = report["earlier"]
    assert words in rows["left_out"]
    assert "evaluation" not in rows
    assert report["state"] == "passed"


def test_label_names_are_those_of_its_card_else_those_of_the_earlier_one(bert, tmp_path, own):
    rows = [{**row, "label": ("no", "yes")[row["label"]]} for row in ROWS]
    given = [earlier(rows, label_names=["no", "yes"])]
    for number, facts in enumerate(({}, named("no", "yes"))):
        report = bert.validate(write(lora(seed=3), tmp_path / str(number)), facts, earlier=given)
        assert report["earlier"][0]["evaluation"]["scores"] == own["scores"]
    turned = bert.validate(write(lora(seed=3), tmp_path / "turned"), named("yes", "no"), earlier=given)
    assert turned["earlier"][0]["evaluation"]["scores"] == [1 - score for score in own["scores"]]
