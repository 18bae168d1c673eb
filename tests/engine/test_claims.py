"""A claim is judged with the sizes of both samples: of the rows here, and of those that the card names."""

from tests.engine.test_dtypes import in_an_engine


def test_a_claim_on_few_rows_has_more_room_and_the_boldest_counts():
    answers = in_an_engine("""
from workers.engine.checks.claims import claim_of
from workers.engine.checks.evaluation import margin
from workers.engine.evals.measures import Metric

metric = Metric("accuracy", 0.5, 0.8, 100)

def card(value=90, metric_args=None, data_args=None):
    entry = {"type": "accuracy", "value": value, "args": metric_args}
    return {"model-index": [{"results": [{"metrics": [entry], "dataset": {"args": data_args}}]}]}

print(claim_of(card(), metric).rows)
print(claim_of(card(data_args={"num_examples": 50}), metric).rows)
print(claim_of(card(metric_args={"num_examples": 20}, data_args={"num_examples": 50}), metric).rows)
for odd in (True, -1, 0, 1.5, "20", 10**12):
    assert claim_of(card(data_args={"num_examples": odd}), metric).rows is None, odd
print(round(margin(0.9, 100), 4), round(margin(0.9, 100, 100), 4), round(margin(0.9, 100, 25), 4))
print(margin(0.9, 10**6, 10**6))
loss = Metric("loss", 2.0, 1.5, 8, higher_is_better=False)
both = {"model-index": [{"results": [{"metrics": [{"type": "loss", "value": 1.4}, {"type": "loss", "value": 120}]}]}]}
print(claim_of(both, loss).value, claim_of({}, loss))
""")
    assert answers == ["None", "50", "20", "0.06", "0.0849", "0.1342", "0.05", "1.4", "None"]
