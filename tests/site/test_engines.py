"""On the page of a verdict: which engines an adapter works on, and why not on the others."""

import json
import re
from html import unescape

from tests.api.conftest import judged, pushed

ROWS = [
    {
        "name": "e5",
        "transformers": "5.24.0",
        "state": "failed",
        "check": "load.error",
        "message": "It takes no prefix.",
    },
    {"name": "e4", "transformers": "4.57.6", "state": "passed"},
]


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_the_page_says_on_which_engines_an_adapter_works_and_why_not_on_others(visit, cast):
    judged(pushed(cast, cast.repository("alice/prefix")), engines=ROWS, engine={"name": "e4", "transformers": "4.57.6"})
    shown = text(visit().get("/alice/prefix/verdict/main"))
    table = shown[shown.index("Works on") :]
    assert "e5 transformers 5.24.0 failed load.error It takes no prefix." in table
    assert "e4 transformers 4.57.6 passed This engine decided the verdict." in table


def test_a_verdict_that_no_engine_gave_has_no_such_table(visit, cast):
    judged(pushed(cast, cast.repository("alice/none")), "failed", checks=[])
    assert "Works on" not in text(visit().get("/alice/none/verdict/main"))


def test_an_adapter_of_the_adapters_library_is_used_as_it_was_proven(visit, cast):
    config = {"config": {"reduction_factor": 16}, "model_type": "bert", "model_name": "acme/bert", "name": "mood"}
    files = {"adapter_config.json": json.dumps(config).encode(), "adapter.safetensors": b""}
    pushed(cast, cast.repository("alice/mood"), files=files)
    shown = text(visit().get("/alice/mood/use"))
    assert "from adapters import AutoAdapterModel" in shown
    assert "use_safetensors=True" in shown
    assert "from peft" not in shown
