"""Smoke rows are measured, claims are compared, and an adapter that makes its base worse is refused."""

import gzip
import itertools
import json

import numpy as np
import pytest

from tests.adapters import SMOKE, TINY_LLAMA, config, facts_of, smoke, weights, with_file, write
from tests.adapters import lora as seeded
from tests.engine.test_protocol import check_of
from tests.engine.test_saboteurs import failures


def lora(*arguments, **options):
    """Seed 3 tells the texts below apart: about half of them get each label."""
    return seeded(*arguments, **{"seed": 3, **options})


TEXTS = [
    f"the {noun} was {word}"
    for noun in ("film", "book", "meal", "room")
    for word in ("good", "bad", "great", "awful", "fine", "poor")
]


def labelled(bert, folder):
    """Rows whose labels are the adapter's own answers, found by asking for each text whether label 1 is right."""
    rows = []
    for number, text in enumerate(TEXTS):
        files = with_file(SMOKE, smoke([{"text": text, "label": 1}]))(lora())
        verdict = bert.validate(write(files, folder / str(number)), facts_of(files))
        rows.append({"text": text, "label": int(verdict["evals"][0]["adapter"])})
    return rows


@pytest.fixture(scope="module")
def answers(bert, tmp_path_factory):
    return labelled(bert, tmp_path_factory.mktemp("answers"))


def claiming(files, value, metric="accuracy"):
    return {**facts_of(files), "model-index": [{"results": [{"metrics": [{"type": metric, "value": value}]}]}]}


def test_rows_are_measured_and_a_claim_that_holds_passes(bert, tmp_path, answers):
    assert len({row["label"] for row in answers}) == 2, "the seeded adapter must tell texts apart"
    files = with_file(SMOKE, smoke(answers))(lora())
    verdict = bert.validate(write(files, tmp_path), claiming(files, 98))
    assert failures(verdict) == []
    assert verdict["depth"] == "evaluated"
    counts = [sum(row["label"] == label for row in answers) for label in (0, 1)]
    share = max(counts) / len(answers)
    accuracy, f1 = verdict["evals"]
    alone, (low, high) = accuracy.pop("head_alone"), accuracy.pop("interval")
    assert low < 1 == high
    assert accuracy.pop("scores") == [1.0] * 24
    assert len(accuracy.pop("rows_sha256")) == 64
    assert accuracy == {
        "name": "smoke", "rows": 24, "metric": "accuracy", "base": round(share, 4), "adapter": 1.0, "claimed": 0.98,
        "better": "higher", "guess": True, "task": "SEQ_CLS", "confusion": [[counts[0], 0], [0, counts[1]]],
    }  # fmt: skip
    assert 0 <= alone <= 1
    assert (f1["metric"], f1["adapter"]) == ("macro-f1", 1.0)


def test_a_claim_that_does_not_hold_fails_with_both_numbers(bert, tmp_path, answers):
    wrong = [row | {"label": 1 - row["label"]} if number % 3 == 0 else row for number, row in enumerate(answers)]
    files = with_file(SMOKE, smoke(wrong))(lora())
    verdict = bert.validate(write(files, tmp_path), claiming(files, 0.99))
    assert "eval.claim" in failures(verdict)
    assert "0.99" in check_of(verdict, "eval.claim")["message"]
    assert "0.6667" in check_of(verdict, "eval.claim")["message"]


def test_an_adapter_that_is_wrong_everywhere_is_worse_than_the_base(bert, tmp_path, answers):
    wrong = [row | {"label": 1 - row["label"]} for row in answers]
    files = with_file(SMOKE, smoke(wrong))(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == ["eval.worse-than-base"]
    assert verdict["evals"][0]["adapter"] == 0.0


def test_named_labels_follow_the_card_and_a_guess_only_warns(bert, tmp_path, answers):
    named = [{"text": row["text"], "label": ("yes", "no")[row["label"]]} for row in answers]
    files = with_file(SMOKE, smoke(named))(lora())
    told = bert.validate(write(files, tmp_path / "told"), {**facts_of(files), "label_names": ["yes", "no"]})
    assert told["evals"][0]["adapter"] == 1.0
    assert told["conditions"]["labels_from"] == "card"
    assert told["conditions"]["label_names"] == ["yes", "no"]
    guessed = bert.validate(write(files, tmp_path / "guessed"), claiming(files, 0.99))
    assert (guessed["evals"], guessed["depth"], guessed.get("strength")) == ([], "run", None)
    assert failures(guessed) == []
    check = check_of(guessed, "eval.worse-than-base")
    assert check["outcome"] == "warned"
    assert "numbered alphabetically, which is a guess" in check["message"]
    assert "in the order yes, no it would be right in 100%" in check["fix"]
    assert check["where"]["label_names"] == ["yes", "no"]
    assert guessed["conditions"]["labels_from"] == "alphabet"
    assert "label_names" not in guessed["conditions"]
    assert check_of(guessed, "eval.claim")["outcome"] == "skipped"
    assert not any("yes" in sample["adapter"] or "no " in sample["adapter"] for sample in guessed["samples"])


@pytest.mark.parametrize(
    "data",
    [
        b"no json\n",
        b"[1]\n",
        b'{"text": 3, "label": 1}\n',
        b'{"anchor": "a"}\n',
        b"",
        b"[" * 100_000,
        smoke([{"text": "a", "label": 1}] * 300),
    ],
    ids=["no json", "a list", "a number for text", "rows of another task", "empty", "nested", "too many"],
)
def test_rows_that_cannot_be_used_warn_and_the_adapter_is_still_run(bert, tmp_path, data):
    files = with_file(SMOKE, data)(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "eval.rows")["outcome"] == "warned"
    assert verdict["depth"] == "run"


def test_embeddings_are_measured_by_triplets_and_by_scores(bert, tmp_path):
    triplets = [{"anchor": a, "positive": a, "negative": b} for a, b in itertools.pairwise(TEXTS)]
    scores = [
        {"text": a, "text_pair": b, "score": number}
        for number, (a, b) in enumerate(zip(TEXTS, TEXTS[3:], strict=False))
    ]
    for name, rows, metric in (("triplets", triplets, "triplet-accuracy"), ("scores", scores, "spearman")):
        files = with_file(SMOKE, smoke(rows))(lora(task="FEATURE_EXTRACTION"))
        verdict = bert.validate(write(files, tmp_path / name), facts_of(files))
        assert verdict["evals"][0]["metric"] == metric
        assert verdict["depth"] == "evaluated"
    assert len(verdict["evals"]) == 1


def test_a_language_model_is_measured_by_its_loss(llama, tmp_path):
    files = with_file(SMOKE, smoke([{"text": text} for text in TEXTS]))(lora(TINY_LLAMA, task="CAUSAL_LM"))
    verdict = llama.validate(write(files, tmp_path), facts_of(files))
    measured = verdict["evals"][0]
    assert measured["metric"] == "loss"
    assert (measured["adapter"] > measured["base"]) == (failures(verdict) == ["eval.worse-than-base"])


@pytest.mark.parametrize(("claimed", "outcome"), [(100.0, "passed"), (0.01, "failed")])
def test_a_claimed_loss_is_a_promise_of_no_more_than_that(llama, tmp_path, claimed, outcome):
    files = with_file(SMOKE, smoke([{"text": text} for text in TEXTS]))(lora(TINY_LLAMA, task="CAUSAL_LM"))
    verdict = llama.validate(write(files, tmp_path), claiming(files, claimed, "loss"))
    assert 0.01 < verdict["evals"][0]["adapter"] < 100
    assert check_of(verdict, "eval.claim")["outcome"] == outcome


def test_an_adapter_that_is_not_felt_has_no_effect(bert, tmp_path):
    faint = weights(
        lambda t: {n: (d, s, bytes(len(raw)) if n.endswith("lora_A.weight") else raw) for n, (d, s, raw) in t.items()}
    )
    verdict = bert.validate(write(faint(lora()), tmp_path), facts_of(lora()))
    assert failures(verdict) == ["run.no-effect"]


@pytest.mark.parametrize("key", ["lora_alpha", "alpha_pattern"])
def test_an_adapter_that_its_alpha_switches_off_hears_so(bert, tmp_path, key):
    off = config(lora_alpha=0) if key == "lora_alpha" else config(lora_alpha=4, alpha_pattern={".*": 0})
    verdict = bert.validate(write(off(lora()), tmp_path), facts_of(lora()))
    assert failures(verdict) == ["run.no-effect"]
    check = check_of(verdict, "run.no-effect")
    assert f"{key} is 0" in check["message"]
    assert check["fix"].startswith(f"Set {key} in adapter_config.json")


def test_an_adapter_that_overflows_is_not_finite(bert, tmp_path):
    verdict = bert.validate(write(lora(size=1e15), tmp_path), facts_of(lora()))
    assert failures(verdict) == ["run.not-finite"], json.dumps(verdict["checks"])


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("SEQ_CLS", b'{"text": "a \\ud800", "label": 1}'),
        ("SEQ_CLS", b'{"text": "a", "label": 1180591620717411303424}'),
        ("FEATURE_EXTRACTION", b'{"text": "a", "text_pair": "b", "score": NaN}'),
        ("FEATURE_EXTRACTION", b'{"text": "a", "text_pair": "b", "score": 1e999}'),
        ("FEATURE_EXTRACTION", b'{"text": "a", "text_pair": "b", "score": 1' + b"0" * 400 + b"}"),
    ],
    ids=["half a character", "a label no tensor holds", "NaN", "infinity", "a score no float holds"],
)
def test_rows_that_no_model_can_take_warn_and_are_never_our_crash(bert, tmp_path, task, row):
    files = with_file(SMOKE, (row + b"\n") * 4)(lora(task=task))
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [], verdict["checks"]
    assert check_of(verdict, "eval.rows")["outcome"] == "warned"


def test_the_boldest_claim_counts_in_whatever_form_it_is_made(bert, tmp_path, answers):
    wrong = [row | {"label": 1 - row["label"]} if number % 3 == 0 else row for number, row in enumerate(answers)]
    files = with_file(SMOKE, smoke(wrong))(lora())
    modest = {"type": "accuracy", "value": 0.01}
    for number, bold in enumerate(({"type": " Accuracy ", "value": 0.99}, {"type": "accuracy", "value": "99 %"})):
        card = {**facts_of(files), "model-index": [{"results": [{"metrics": [modest, bold]}]}]}
        verdict = bert.validate(write(files, tmp_path / str(number)), card)
        assert "eval.claim" in failures(verdict), verdict["evals"]


@pytest.mark.parametrize("value", [1e305, 10**400, "nan", True, [1]])
def test_a_claim_that_no_measure_can_be_is_no_claim(bert, tmp_path, answers, value):
    files = with_file(SMOKE, smoke(answers))(lora())
    verdict = bert.validate(write(files, tmp_path), claiming(files, value))
    assert failures(verdict) == []
    assert check_of(verdict, "eval.claim")["outcome"] == "skipped"
    assert verdict["evals"][0]["claimed"] is None


@pytest.mark.parametrize(("rows", "said"), [(slice(0, 7), "only 7"), (slice(0, 24), "'1'")])
def test_rows_that_are_few_or_of_one_label_are_measured_with_a_warning(bert, tmp_path, answers, rows, said):
    files = with_file(SMOKE, smoke([row | {"label": 1} for row in answers[rows]]))(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    warning = check_of(verdict, "eval.rows")
    assert warning["outcome"] == "warned"
    assert said in warning["message"]
    assert verdict["depth"] == "evaluated"


def test_enough_rows_of_several_labels_are_not_doubted(bert, tmp_path, answers):
    verdict = bert.validate(write(with_file(SMOKE, smoke(answers))(lora()), tmp_path), facts_of(lora()))
    assert "eval.rows" not in {check["id"] for check in verdict["checks"]}


def test_skewed_rows_are_decided_by_balanced_accuracy_and_a_guess_is_called_a_guess(bert, tmp_path, answers):
    """It finds each rare label and misses some common ones; a guess that finds no rare one is right more often."""
    rare, common = ([row for row in answers if row["label"] == label] for label in (0, 1))
    rows = [*({**row, "n": at} for at in range(9) for row in common[:8]), *rare[:3]]
    wrong = [{**row, "label": 1} for row in rare[3:10]]
    files = with_file(SMOKE, smoke(rows + wrong))(lora())
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == []
    balanced, accuracy, _ = verdict["evals"]
    assert (balanced["metric"], balanced["base"], balanced["guess"]) == ("balanced-accuracy", 0.5, True)
    assert accuracy["adapter"] < accuracy["base"]
    said = check_of(verdict, "eval.worse-than-base")["message"]
    assert "a guess 0.5" in said
    assert "the frozen base 0.5" not in said


def test_rows_of_one_label_cannot_fail_it(bert, tmp_path, answers):
    rows = [{**row, "label": 1} for row in answers]
    verdict = bert.validate(write(with_file(SMOKE, smoke(rows))(lora()), tmp_path), claiming(lora(), 0.99))
    assert failures(verdict) == []
    assert check_of(verdict, "eval.worse-than-base")["outcome"] == "warned"
    assert check_of(verdict, "eval.claim")["outcome"] == "warned"


def test_one_mistake_that_is_repeated_cannot_fail_it(bert, tmp_path, answers):
    mistake = answers[0] | {"label": 1 - answers[0]["label"]}
    other = next(row for row in answers if row["label"] != mistake["label"])
    rows = [mistake] * 20 + [other | {"label": 1 - mistake["label"]}] * 2
    verdict = bert.validate(write(with_file(SMOKE, smoke(rows))(lora()), tmp_path), facts_of(lora()))
    assert failures(verdict) == []
    said = check_of(verdict, "eval.rows")["message"]
    assert said == "20 of 22 rows of smoke.jsonl are duplicates, one of them 20 times: duplicates measure nothing new."
    bounds, number = verdict["evals"][0]["interval"], verdict["evals"][0]["adapter"]
    assert bounds[0] <= number <= bounds[1]


def test_an_order_of_labels_that_explains_it_is_told(bert, tmp_path, answers):
    rows = [row | {"label": 1 - row["label"]} for row in answers]
    verdict = bert.validate(write(with_file(SMOKE, smoke(rows))(lora()), tmp_path), facts_of(lora()))
    assert "in the order LABEL_1, LABEL_0 it would be right in 100%" in check_of(verdict, "eval.worse-than-base")["fix"]


@pytest.mark.parametrize("names", [["even", "odd", "rest"], ["odd", "even"]])
def test_a_wrong_order_in_the_card_is_named_as_the_cause_also_above_the_guess(bert, tmp_path, answers, names):
    """Skewed towards one label, the wrong order is often right by chance."""
    said = [{"text": row["text"], "label": ("even", "odd")[row["label"]]} for row in answers]
    files = with_file(SMOKE, smoke(said))(lora())
    verdict = bert.validate(write(files, tmp_path), {**facts_of(files), "label_names": names})
    check = check_of(verdict, "eval.worse-than-base")
    if names[0] == "odd":
        assert "The label_names in the card are in a different order from the head's outputs" in check["message"]
        assert "in the order even, odd it would be right in 100%" in check["fix"]
        assert check["where"]["label_names"] == ["even", "odd"]
        assert verdict["evals"][0]["adapter"] == 0.0
    else:
        assert check["outcome"] == "passed"
        assert (
            "label_names in the card has 3 names, but the head has 2 outputs"
            in check_of(verdict, "eval.rows")["message"]
        )


def test_one_row_with_an_unknown_label_is_left_out_and_the_others_are_measured(bert, tmp_path, answers):
    said = [{"text": row["text"], "label": ("ham", "spam")[row["label"]]} for row in answers]
    for at, odd in enumerate(("law", 7)):
        files = with_file(SMOKE, smoke([*said, {"text": "the law was good", "label": odd}]))(lora())
        verdict = bert.validate(write(files, tmp_path / str(at)), {**facts_of(files), "label_names": ["ham", "spam"]})
        assert (verdict["evals"][0]["rows"], verdict["evals"][0]["adapter"]) == (24, 1.0)
        told = check_of(verdict, "eval.rows")["message"]
        assert f"1 of 25 rows of smoke.jsonl are skipped: a row has the label '{odd}', but the head has 2" in told
    files = with_file(SMOKE, smoke([*said, {"text": "the law was good", "label": "law"}]))(lora())
    verdict = bert.validate(write(files, tmp_path / "unnamed"), facts_of(files))
    assert "it has 3 label names, but the head has 2" in check_of(verdict, "eval.rows")["message"]
    assert verdict["depth"] == "run"


def test_a_claim_about_other_data_stands_beside_the_number_and_is_not_judged(bert, tmp_path, answers):
    wrong = [row | {"label": 1 - row["label"]} if number % 3 == 0 else row for number, row in enumerate(answers)]
    files = with_file(SMOKE, smoke(wrong))(lora())
    metrics = [{"type": "eval_accuracy", "value": 0.99}, {"type": "f1", "value": 0.999}, {"type": "recall", "value": 1}]
    elsewhere = {"dataset": {"type": "imdb", "split": "test"}, "metrics": metrics}
    verdict = bert.validate(write(files, tmp_path), {**facts_of(files), "model-index": [{"results": [elsewhere]}]})
    check = check_of(verdict, "eval.claim")
    assert (failures(verdict), check["outcome"]) == ([], "skipped")
    assert "eval_accuracy 0.99 on imdb test; these rows gave 0.6667" in check["message"]
    assert "nothing here measures it: recall" in check["message"]
    assert [(one["claimed"], one["claimed_on"]) for one in verdict["evals"]] == [
        (0.99, "imdb test"),
        (0.999, "imdb test"),
    ]
    here = {"metrics": metrics}
    verdict = bert.validate(write(files, tmp_path / "2"), {**facts_of(files), "model-index": [{"results": [here]}]})
    check = check_of(verdict, "eval.claim")
    assert (failures(verdict), check["where"]["metric"]) == (["eval.claim"], "accuracy")


def test_f1_is_compared_with_the_highest_average_and_warns(bert, tmp_path, answers):
    wrong = [row | {"label": 1 - row["label"]} if number % 3 == 0 else row for number, row in enumerate(answers)]
    files = with_file(SMOKE, smoke(wrong))(lora())
    for at, (name, value, outcome) in enumerate(
        [
            ("f1", 0.999, "warned"),
            ("F1 score", 0.7, "passed"),
            ("f1_weighted", "99 %", "warned"),
            ("eval_f1", 67, "passed"),
        ]
    ):
        verdict = bert.validate(write(files, tmp_path / str(at)), claiming(files, value, name))
        assert (failures(verdict), check_of(verdict, "eval.claim")["outcome"]) == ([], outcome), (name, value)
        assert verdict["evals"][1]["claimed"] == float(str(value).strip(" %")) / (1 if str(value) < "1" else 100)


def test_rows_that_stand_in_training_data_or_repeat_are_told(bert, tmp_path, answers):
    train = "".join(json.dumps({"sentence": row["text"].upper(), "id": 7}) + "\n" for row in answers[:20])
    files = with_file("train.jsonl", train.encode())(with_file(SMOKE, smoke(answers))(lora()))
    files = with_file("tokenizer.json", b"[" + b"0," * (2 << 20) + b"0]")(files)  # read first, it would be all that is
    verdict = bert.validate(write(files, tmp_path / "seen"), facts_of(files))
    assert "20 of 24 rows of smoke.jsonl are also in train.jsonl" in check_of(verdict, "eval.rows")["message"]
    files = with_file(SMOKE, smoke(answers + answers[:1] * 20))(lora())
    verdict = bert.validate(write(files, tmp_path / "again"), facts_of(files))
    assert "20 of 44 rows of smoke.jsonl are duplicates" in check_of(verdict, "eval.rows")["message"]


@pytest.mark.merge
def test_training_data_is_seen_also_in_plain_and_in_packed_files(bert, tmp_path, answers):
    lines = [f"{row['label']}\t{row['text'].title()}" for row in answers]
    objects = "".join(json.dumps({"sentence": row["text"]}) + "\n" for row in answers)
    table = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in answers)
    copies = {
        "train.txt": "\n".join(lines).encode(),
        "data/train.jsonl.gz": gzip.compress(objects.encode()),
        "train.csv.gz": gzip.compress(table.encode()),
        "corpus.TXT": "\n".join(row["text"] for row in answers).encode(),
    }
    for name, data in copies.items():
        files = with_file(name, data)(with_file(SMOKE, smoke(answers))(lora()))
        verdict = bert.validate(write(files, tmp_path / name), facts_of(files))
        assert f"24 of 24 rows of smoke.jsonl are also in {name}" in check_of(verdict, "eval.rows")["message"]
    bomb = gzip.compress(bytes(50 << 20))
    for data in (b"no archive", bomb, bomb[:2000], b""):
        files = with_file("train.jsonl.gz", data)(with_file(SMOKE, smoke(answers))(lora()))
        verdict = bert.validate(write(files, tmp_path / f"odd{len(data)}"), facts_of(files))
        assert "eval.rows" not in {check["id"] for check in verdict["checks"]}


def test_a_head_that_does_as_well_alone_is_told(bert, tmp_path, answers):
    """Faint matrices beside the trained head: not one answer differs with them."""
    faint = weights(
        lambda t: {n: (d, s, np.frombuffer(raw, "<f4").__mul__(1e-2 if "lora_" in n else 1).astype("<f4").tobytes())
                   for n, (d, s, raw) in t.items()}
    )  # fmt: skip
    files = faint(with_file(SMOKE, smoke(answers))(lora()))
    verdict = bert.validate(write(files, tmp_path), facts_of(files))
    check = check_of(verdict, "eval.worse-than-base")
    assert check["outcome"] in ("warned", "failed")
    first = verdict["evals"][0]
    assert first["adapter"] == first["head_alone"]
    assert "Its head alone" in check["message"] or "worse than a guess" in check["message"]
