"""A claim is judged by an exact test on the rows that it is about; of 100 honest ones at most one is refused."""

import json

import pytest

from tests.engine.conftest import in_an_engine

READ = """
from workers.engine.checks.claims import bold, chance, claims_in, SIZE
from workers.engine.evals.measures import Metric

def card(*entries, **data):
    return {"model-index": [{"results": [{"metrics": list(entries), "dataset": data}]}]}

def of(metric, *entries, rows="smoke", **data):
    return bold(claims_in(card(*entries, **data), rows), metric)

def refused(metric, *entries, **data):
    p, _ = chance(metric, of(metric, *entries, **data))
    return p < SIZE
"""


@pytest.mark.merge
def test_honest_claims_are_refused_in_at_most_one_of_a_hundred():
    """By enumeration: m rows give the claim, n rows here the number, both with the same true share."""
    answers = in_an_engine(
        READ
        + """
from functools import cache
import math

@cache
def shares(rows, true):
    log = [math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1) for k in range(rows + 1)]
    return [math.exp(part + k * math.log(true) + (rows - k) * math.log1p(-true)) for k, part in enumerate(log)]

@cache
def most_refused(claimed, m, n):
    entry = {"type": "accuracy", "value": claimed, "args": {"num_examples": m}}
    low, high = -1, n
    while low < high:  # the more are right, the less is refused
        k = (low + high + 1) // 2
        low, high = (k, high) if refused(Metric("accuracy", 0.5, round(k / n, 4), n), entry) else (low, k - 1)
    return low

worst = {True: (0.0,), False: (0.0,)}
for told in worst:
    for m in (12, 20, 50, 100, 256):
        for n in (9, 20, 60, 256):
            for true in (0.5, 0.7, 0.9, 0.99):
                share = 0.0
                for right, weight in enumerate(shares(m, true)):
                    if weight > 1e-6:
                        most = most_refused(round(right / m, 2 if m == 100 else 4), m if told else None, n)
                        share += weight * math.fsum(shares(n, true)[: most + 1])
                worst[told] = max(worst[told], (share, m, n, true))
print(*worst[True], sep='/')
print(*worst[False], sep='/')
"""
    )
    for answer in answers:
        assert 0.001 < float(answer.partition("/")[0]) <= 0.01, answer


@pytest.mark.merge
def test_false_claims_are_refused_and_honest_ones_of_few_rows_are_not():
    cases = [  # value, rows of the claim, measured share, rows here, refused
        (1.0, 20, 55 / 60, 60, False),
        (0.95, None, 7 / 9, 9, False),
        (0.99, None, 0.6667, 24, True),
        (1.0, None, 0.6111, 36, True),
        (99, None, 0.75, 36, True),
        ("97.5 %", 400, 0.8, 60, True),
        (0.9, 10**8, 0.75, 60, True),
        (0.999, None, 0.9153, 59, True),
        (0.92, 50, 0.88, 256, False),
        (0.8, 30, 0.95, 40, False),
        (1, 9, 0.8, 20, False),
        (1.0, 1000, 0.95, 256, True),
    ]
    answers = in_an_engine(
        READ
        + f"""
import json
for value, m, share, n, expected in json.loads({json.dumps(json.dumps(cases))}):
    metric = Metric("accuracy", 0.5, round(share, 4), n)
    got = refused(metric, {{"type": "accuracy", "value": value, "args": {{"num_examples": m}}}})
    if got != expected:
        print(value, m, share, n, got)
"""
    )
    assert answers == []


def test_a_claim_counts_for_the_rows_that_its_data_set_names():
    cases = [  # the rows here, the claim's data set, the other data's name
        ("smoke", {}, ""),
        ("smoke", {"name": "smoke.jsonl"}, ""),
        ("smoke", {"type": "Smoke", "split": "test"}, ""),
        ("smoke", {"type": "glue", "name": "MRPC", "config": "mrpc", "split": "validation"}, "glue mrpc validation"),
        ("smoke", {"name": "imdb"}, "imdb"),
        ("smoke", "imdb", ""),
        ("acme/opinions@0123abcd", {"type": "Acme/Opinions"}, ""),
        ("acme/opinions@0123abcd", {"name": "https://a.hub/datasets/acme/opinions", "revision": "0123abcdef"}, ""),
        ("acme/opinions@0123abcd", {"type": "acme/opinions", "config": "default"}, ""),
        ("acme/opinions@0123abcd", {"type": "acme/opinions", "split": "test"}, "acme/opinions test"),
        ("acme/opinions@0123abcd", {"type": "acme/opinions", "revision": "ffff0000"}, "acme/opinions ffff0000"),
        ("acme/opinions@0123abcd", {"type": "acme/opinions2"}, "acme/opinions2"),
        ("acme/opinions@0123abcd", {}, "rows that it does not name"),
    ]
    answers = in_an_engine(
        READ
        + f"""
import json
metric = Metric("accuracy", 0.5, 0.8, 100)
for rows, data, expected in json.loads({json.dumps(json.dumps(cases))}):
    entry = {{"type": "accuracy", "value": 0.9}}
    results = {{"model-index": [{{"results": [{{"metrics": [entry], "dataset": data}}]}}]}}
    found = bold(claims_in(results, rows), metric)
    if found.data != expected:
        print(rows, data, found.data)
bold_elsewhere = {{"model-index": [{{"results": [
    {{"metrics": [{{"type": "accuracy", "value": 0.99}}], "dataset": {{"type": "imdb"}}}},
    {{"metrics": [{{"type": "accuracy", "value": 0.7}}, {{"type": "acc", "value": 0.81}}]}}]}}]}}
print(bold(claims_in(bold_elsewhere, "smoke"), metric).value)
"""
    )
    assert answers == ["0.81"]


def test_metrics_are_known_by_the_names_that_people_write():
    names = {
        "f1": "f1",
        "F1 score": "f1",
        "eval_f1": "f1",
        "f1-macro": "macrof1",
        "Macro F1": "macrof1",
        "f1_weighted": "weightedf1",
        "weighted avg f1": "weightedf1",
        "micro-f1-score": "microf1",
        "overall_f1": "f1",
        "test_accuracy": "accuracy",
        "accuracy_score": "accuracy",
        "acc": "accuracy",
        "Exact Match": "exactmatch",
        "eval_loss": "loss",
        "validation_loss": "loss",
        "val_acc": "accuracy",
        "rougeLsum": "rougel",
        "em": "exactmatch",
        "balanced_accuracy": "balancedaccuracy",
        "spearmanr": "spearman",
        "perplexity": "perplexity",
        "score": "score",
    }
    answers = in_an_engine(
        READ
        + f"""
for written, canonical in {names!r}.items():
    found, = claims_in(card({{"type": written, "value": 0.5}}), "smoke")
    if found.name != canonical:
        print(written, found.name)
found, = claims_in(card({{"type": "f1", "value": 0.5, "args": {{"average": "weighted"}}}}), "smoke")
print(found.name)
found, = claims_in(card({{"type": "f1", "value": 0.5, "name": "F1 (macro)"}}), "smoke")
print(found.name)
"""
    )
    assert answers == ["weightedf1", "macrof1"]


@pytest.mark.night
def test_odd_values_and_numbers_of_rows_are_no_claims_or_say_no_rows():
    answers = in_an_engine(
        READ
        + """
for value in (1e305, 10**400, "nan", True, [1], None, {}, "very good", float("inf")):
    assert claims_in(card({"type": "accuracy", "value": value}), "smoke") == [], value
for rows in (True, -1, 0, 1.5, "20", 10**12, [3]):
    found, = claims_in(card({"type": "accuracy", "value": 0.9}, args={"num_examples": rows}), "smoke")
    assert found.rows is None, rows
both = card({"type": "accuracy", "value": 0.9, "args": {"num_examples": 20}}, args={"num_examples": 50})
print(claims_in(both, "smoke")[0].rows)
print(claims_in(card({"type": "accuracy", "value": 0.9}, args={"num_examples": 50}), "smoke")[0].rows)
for odd in ({"model-index": 3}, {"model-index": [3]}, {"model-index": [{"results": [{"metrics": [3]}]}]}, {}):
    assert claims_in(odd, "smoke") == []
loss = Metric("loss", 2.0, 1.5, 8, higher_is_better=False, scores=[1.2, 1.8, 1.4, 1.6, 1.5, 1.5, 1.3, 1.7])
print(of(loss, {"type": "loss", "value": 1.4}, {"type": "loss", "value": 120}).value)
print(*[refused(loss, {"type": "loss", "value": value}) for value in (0.2, 1.0, 1.4, 1.5, 120)])
wide = Metric("loss", 2.0, 1.5, 4, higher_is_better=False, scores=[0.1, 3.3, 0.4, 2.2])
print(*[refused(wide, {"type": "loss", "value": value}) for value in (0.9, 1.2, 1.5)])
scored = Metric("pearson", 0, 0.6, 40)
print(*[refused(scored, {"type": "pearsonr", "value": value}) for value in (0.7, 0.85, 0.99, 1)])
"""
    )
    assert answers[:3] == ["20", "50", "1.4"]
    assert answers[3:8] == ["True", "True", "False", "False", "False"]
    assert answers[8:] == ["False", "False", "False", "False", "False", "True", "True"]
