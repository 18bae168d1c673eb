"""Measured numbers on the pages: each beside its base, with a few answers side by side, shown as text."""

import re

import pytest

from tests.api.conftest import judged, pushed
from tests.site.conftest import CHECKS

EVALS = [
    {
        "name": "smoke",
        "rows": 24,
        "metric": "accuracy",
        "base": 0.5,
        "adapter": 0.96,
        "better": "higher",
        "claimed": 0.98,
    },
    {"name": "smoke", "rows": 24, "metric": "macro-f1", "base": 0.33, "adapter": 0.95, "better": "higher"},
    {"name": "neutral", "rows": 8, "metric": "loss", "base": 3.2, "adapter": 3.9, "better": "lower"},
]
COST = {"latency_ratio": 1.2, "memory_mb": 23.4, "adapter_mb": 0.3}
CONDITIONS = {"rows": "smoke", "seed": 0, "batches": [4, 8, 8, 4]}


@pytest.fixture
def measured(cast):
    made = cast.repository("alice/measured")
    shown = {"cost": COST, "conditions": CONDITIONS}
    judged(pushed(cast, made), checks=CHECKS, evals=EVALS, depth="evaluated", **shown)
    return made


def test_each_number_is_beside_its_base_and_says_which_way_is_better(visit, measured):
    page = " ".join(visit().get("/alice/measured/verdict/main").content.decode().split())
    for said in (
        "Accuracy",
        "Macro-f1",
        "24 rows of smoke.jsonl",
        "lower is better",
        "8 plain sentences of the hub's own",
    ):
        assert said in page


def test_what_the_hub_made_of_plain_sentences_is_no_headline(visit, measured):
    page = visit().get("/alice/measured").content.decode()
    measure = page.partition('<section class="measure"')[2].partition("</section>")[0]
    assert "Accuracy" in measure
    assert "loss" not in measure.lower()
    assert "accuracy 0.96" in visit().get("/adapters").content.decode()


def test_a_guess_is_called_a_guess_at_the_top_of_the_page_too(visit, cast):
    made = cast.repository("alice/guessed")
    guessed = {**EVALS[0], "guess": True}
    samples = [{"input": "Fine.", "expected": "good", "base": "bad 0.50", "adapter": "good 0.98"}]
    judged(pushed(cast, made), checks=CHECKS, evals=[guessed], samples=samples, depth="evaluated")
    overview = visit().get("/alice/guessed").content.decode()
    assert "a guess, no model <b>0.50</b>" in overview
    assert ">guess 0.50</text>" in overview
    page = visit().get("/alice/guessed/verdict/main").content.decode()
    assert re.search(r'<span class="small">\s*guess\s*</span>', page)


@pytest.mark.parametrize("path", ["", "/verdict/main"])
def test_a_claim_about_other_data_is_shown_as_such(visit, cast, path):
    made = cast.repository("alice/elsewhere")
    judged(pushed(cast, made), checks=CHECKS, evals=[{**EVALS[0], "claimed_on": "glue <b>mrpc</b>"}], depth="evaluated")
    page = visit().get(f"/alice/elsewhere{path}").content.decode()
    assert "claimed in card on glue &lt;b&gt;mrpc&lt;/b&gt;: other data, not judged" in page
