"""A conversion of real weights, and its verdict by the real engine."""

import json
import math
import struct

import pytest

from features.derived import jobs, verbs
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from tests import adapters
from tests.workers.conftest import _hub  # noqa: F401 - a fixture
from tests.workers.test_real_engine import PAIRS, bert, judged, once_more, shelves  # noqa: F401 - fixtures among them
from workers import base_cache

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


def in_loralib(files: adapters.Files) -> bytes:
    """Return the matrices and the head of an adapter of PEFT as loralib names them."""
    names = {name: name.removeprefix("base_model.model.") for name in adapters.unpack(files[adapters.WEIGHTS])}
    names = {name: own.removesuffix(".weight") if ".lora_" in own else own for name, own in names.items()}
    return adapters.pack({names[name]: value for name, value in adapters.unpack(files[adapters.WEIGHTS]).items()})


@pytest.mark.merge
def test_what_loralib_saved_becomes_a_version_that_measures_as_pefts_does(judged, bert, shelves, cast):
    rows = [{"text": f"a {' '.join(pair)} one", "label": pair[1] != "bad"} for pair in PAIRS]
    smoke = adapters.smoke([{**row, "label": int(row["label"])} for row in rows])
    of_peft = adapters.lora(seed=3, size=0.4)
    alpha = json.loads(of_peft[adapters.CONFIG])["lora_alpha"]
    expected = judged({**of_peft, adapters.SMOKE: smoke}).result["evals"]
    gpt2 = base_cache.add_folder("tiny/gpt2", shelves[1] / "gpt2", source="a test", tell=lambda line: None)
    pairs = {f"transformer.h.{layer}.attn.c_attn.lora_{side}": ("F32", shape, struct.pack("<256f", *values))
             for layer in range(2) for side, shape in (("A", (8, 32)), ("B", (64, 4)))
             for values in [[math.sin(layer + at) for at in range(256)]]}  # fmt: skip
    cases = {
        "alice/classifier": (in_loralib(of_peft), bert.id, smoke, {"lora_alpha": alpha}, expected),
        "alice/words": (
            adapters.pack(pairs), gpt2.id, adapters.smoke([{"text": row["text"]} for row in rows]),
            {"lora_alpha": 8, "enable_lora": [True, False, True], "pipeline_tag": "text-generation"}, None,
        ),
    }  # fmt: skip
    for name, (weights, base, own_rows, stated, expected) in cases.items():
        files = {"lora.safetensors": weights, "README.md": adapters.card(base, **stated), adapters.SMOKE: own_rows}
        content = [Inline(path, data) for path, data in files.items()]
        intent = Intent(cast.repository(name), MAIN, cast.session("alice"), "weights")
        source = push.receive(intent, content).revision
        row = verbs.request_conversion(source, "peft", cast.session("alice"))
        jobs.work()
        row.refresh_from_db()
        assert (row.state, row.reason) == ("done", ""), name
        verdict = once_more(latest(row.revision))
        failed = {check["id"] for check in verdict.result["checks"] if check["outcome"] == "failed"}
        assert failed == (set() if expected else {"eval.worse-than-base"}), name  # nobody trained the words
        assert verdict.result["depth"] == "evaluated", name
        assert {one["rows"] for one in verdict.result["evals"] if one["name"] == "smoke"} == {len(rows)}, name
        if expected is not None:
            assert verdict.result["evals"] == expected
