"""Compatibility on pages: who serves an adapter, who does so wrongly, with which flags, and which bases it fits."""

import pytest

from hub.about import PORT
from hub.site.repository import snippets
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


def test_what_may_be_copied_is_what_the_table_says(visit, cast, served):
    use = {snippet.key: snippet for snippet in visit().get("/alice/reviews/use").context["tools"]}
    assert "vllm serve" in use["vllm"].code
    lines = use["vllm"].code.replace(" \\\n ", "").splitlines()
    commit = served.refs.get(name="refs/heads/main").revision.oid
    pull = f"dovetail pull alice/reviews@{commit} --to ./reviews-{commit[:7]} --endpoint http://127.0.0.1:{PORT}"
    assert lines[:2] == [snippets.install_line(f"http://127.0.0.1:{PORT}"), pull]
    assert lines[2].endswith(f"--max-lora-rank 64 --lora-modules reviews@{commit[:7]}=./reviews-{commit[:7]}")
    assert ("ollama" in use) == ("llama.cpp" in use)
    refused = [{**row, "outcome": "refuses", "reason": "No.", "flags": []} for row in SERVING]
    other = cast.repository("alice/refused")
    judged(pushed(cast, other), depth="run", serving=refused, fits=FITS)
    snippet = next(one for one in visit().get("/alice/refused/use").context["tools"] if one.key == "vllm")
    assert (snippet.code, snippet.why) == ("", "No.")
    page = " ".join(visit().get("/alice/refused/use?tool=vllm").content.decode().split())
    assert "<b>Not with this adapter.</b> No." in page
    assert 'href="/alice/refused/verdict/verified#engine-vllm"' in page


PEFT_ROWS = [
    {"engine": "peft-0.18", "version": "0.18.1", "outcome": "serves", "reason": "It knows every key.", "flags": []},
    {"engine": "peft-0.14", "version": "0.14.0", "outcome": "wrong", "reason": "It drops arrow_config.", "flags": []},
    {"engine": "peft-0.13", "version": "0.13.2", "outcome": "refuses", "reason": "TypeError.", "flags": []},
]


@pytest.mark.parametrize(
    ("serving", "peft", "comment", "why"),
    [
        ([], "", "# pip install torch transformers peft", ""),
        (PEFT_ROWS[:1], "", "# pip install torch transformers peft", ""),
        (PEFT_ROWS, "", '# pip install torch transformers "peft>=0.18"', ""),
        (PEFT_ROWS[1:], "0.21.2", '# pip install torch transformers "peft>=0.21.2"', ""),
        (PEFT_ROWS[1:], "", "", "It drops arrow_config."),
    ],
)
def test_peft_is_offered_in_the_releases_that_the_table_names(visit, cast, serving, peft, comment, why):
    engine = {"name": "e5", "peft": peft}
    revision = pushed(cast, cast.repository("alice/reviews"))
    judged(revision, depth="fit", format="peft", serving=serving, fits=FITS, engine=engine)
    [snippet] = [snippet for snippet in visit().get("/alice/reviews/use").context["tools"] if snippet.key == "peft"]
    assert snippet.why == why
    assert ("PeftModel" in snippet.code) == (not why)
    assert "".join(line for line in snippet.code.splitlines() if line.startswith("# pip")) == comment


def test_a_page_without_answers_has_no_such_section(visit, reviews):
    text = visit("anonymous").get("/alice/reviews/verdict/main").content.decode()
    assert "compatibility-title" not in text
    assert "fits-title" not in text


def test_the_catalogue_is_filtered_by_engine(visit, served):
    page = visit("anonymous").get("/adapters", {"engine": "vllm"}).content.decode()
    assert "alice/reviews" in page
    assert "Served by" in page
    assert "alice/reviews" not in visit("anonymous").get("/adapters", {"engine": "sglang"}).content.decode()
