"""Compatibility on pages: whether an engine was tried, what it did, and why it was not."""

from dovetail.adapters.results.report import WAITING
from tests.api.conftest import judged, pushed
from tests.site.test_compatibility import SERVING

MEASURED = {
    "by": "measured", "outcome": "wrong", "reason": "0 of 62 modules meet a module of its model", "flags": [],
    "measured": {"depth": "mapping", "engine": "vllm 0.32.0", "modules": 0, "of": 62, "missed": [], "refusal": ""},
}  # fmt: skip


def test_a_page_says_of_each_engine_whether_it_was_tried(visit, cast):
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made), depth="fit", serving=[SERVING[0] | MEASURED, SERVING[1]])
    text = " ".join(visit("anonymous").get("/alice/reviews/verdict/main").content.decode().split())
    assert '<span class="state failed">wrong</span> <span class="third small">measured</span>' in text
    assert '<span class="state ">refuses</span> <span class="third small">by rule</span>' in text
    assert "vLLM 0.32.0 reached 0 of 62 modules of the adapter" in text
    assert 'href="/docs/serving#measured-or-by-rule"' in text


def test_a_page_says_how_an_engine_answered_and_why_one_was_not_tried(visit, cast):
    made = cast.repository("alice/reviews")
    ran = MEASURED["measured"] | {"depth": "run", "modules": 62, "answer": "neither"}
    rows = [SERVING[0] | MEASURED | {"measured": ran}, SERVING[1] | {"untried": "It has a head."}]
    judged(pushed(cast, made), depth="fit", serving=rows)
    text = " ".join(visit("anonymous").get("/alice/reviews/verdict/main").content.decode().split())
    assert "made small, it answered as neither PEFT with the adapter nor the base alone." in text
    assert "Not tried, which says nothing about the adapter: It has a head." in text


def test_a_page_says_that_an_engine_waits_for_its_trial_and_offers_no_command(visit, cast):
    made = cast.repository("alice/reviews")
    waits = {"untried": WAITING, "outcome": "unknown", "reason": "Not tried yet. By its rules it serves it: it loads."}
    judged(pushed(cast, made), depth="run", serving=[SERVING[0] | waits, SERVING[1]])
    text = " ".join(visit("anonymous").get("/alice/reviews/verdict/main").content.decode().split())
    assert '<span class="state ">unknown</span> <span class="third small">not tried yet</span>' in text
    assert "Not tried yet. By its rules it serves it" in text
    assert "Not tried, which says nothing" not in text
    assert "--max-lora-rank 64" not in text
