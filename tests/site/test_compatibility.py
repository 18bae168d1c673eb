"""Compatibility on pages: who serves an adapter, who does so wrongly, with which flags, and which bases it fits."""

import pytest

from hub.about import PORT
from tests.api.conftest import judged, pushed

SERVING = [
    {"engine": "vllm", "version": "0.33.0", "outcome": "serves", "reason": "vLLM loads every tensor.",
     "flags": ["--enable-lora", "--max-lora-rank 64", "--lora-modules reviews=alice/reviews"]},
    {"engine": "tgi", "version": "3.3.7", "outcome": "refuses", "reason": "TGI reads <b>LoRA</b>.",
     "flags": []},
    {"engine": "sglang", "version": "0.5.23", "outcome": "wrong", "reason": "served 8 times too weak", "flags": []},
]  # fmt: skip
FITS = {
    "bases": [
        {"base": "tiny/bert", "fits": True, "has_weights": False, "why": "All there."},
        {"base": "tiny/llama", "fits": False, "has_weights": True, "why": "28 of 28 tensors have another shape."},
    ],
    "note": "Shapes alone cannot tell tiny/bert, tiny/twin apart: name the one it was trained on.",
    "left_out": 0,
}


@pytest.fixture
def served(cast):
    made = cast.repository("alice/reviews")
    judged(pushed(cast, made), depth="fit", serving=SERVING, fits=FITS)
    return made


def test_a_page_shows_each_engine_with_its_outcome_and_flags_to_copy(visit, served):
    text = visit("anonymous").get("/alice/reviews/verdict/main").content.decode()
    assert '<span class="state passed">serves</span>' in text
    assert '<span class="state failed">wrong</span>' in text
    commit = served.refs.get(name="refs/heads/main").revision.oid
    name, folder = f"reviews@{commit[:7]}", f"./reviews-{commit[:7]}"
    assert f"dovetail pull alice/reviews@{commit} --to {folder} --endpoint http://127.0.0.1:{PORT}" in text
    assert f"--enable-lora --max-lora-rank 64 --lora-modules {name}={folder}" in text
    assert "=alice/reviews" not in text, "no engine is given a name that another hub may know"
    assert 'data-copy-from="flags-vllm"' in text
    assert text.index("served 8 times too weak") < text.index("TGI reads"), "what lies comes before what refuses"
    assert "<b>LoRA</b>" not in text


def test_a_page_shows_which_bases_it_fits_and_what_that_does_not_prove(visit, served):
    text = visit("anonymous").get("/alice/reviews/verdict/main").content.decode()
    assert '<a href="/bases/tiny/bert">tiny/bert</a>' in text
    assert "cannot tell tiny/bert, tiny/twin apart" in text
    assert "28 of 28 tensors have another shape" in text
    assert "it was not run" in text


def test_a_page_without_answers_has_no_such_section(visit, reviews):
    text = visit("anonymous").get("/alice/reviews/verdict/main").content.decode()
    assert "compatibility-title" not in text
    assert "fits-title" not in text


def test_the_catalogue_is_filtered_by_engine(visit, served):
    page = visit("anonymous").get("/adapters", {"engine": "vllm"}).content.decode()
    assert "alice/reviews" in page
    assert "Served by" in page
    assert "alice/reviews" not in visit("anonymous").get("/adapters", {"engine": "sglang"}).content.decode()
