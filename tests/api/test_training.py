"""Facts that trainers state: in the manifest of a revision and on the page of its verdict, and behind a gate."""

import json

from dovetail.adapters.stated import Stated
from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.people import gates
from registry.publish import moves
from registry.repos import catalog, pull, training
from registry.repos.catalog import Query
from tests.api.conftest import FILES, judged, pushed


def test_the_facts_of_the_trainer_are_in_the_manifest_and_on_the_page(ask, cast, repository):
    state = {"global_step": 40, "log_history": [{"step": 10 * at, "loss": 2.5 - at / 2} for at in range(1, 5)]}
    results = b'{"eval_accuracy": 0.875, "<b>": 1}'
    files = {**FILES, "trainer_state.json": json.dumps(state).encode(), "eval_results.json": results}
    judged(pushed(cast, repository, files=files))
    stated = ask().get("/api/v1/adapters/alice/reviews/revisions/main").json()["training"]
    assert {"name": "global_step", "value": 40, "source": "trainer_state.json:global_step"} in stated["facts"]
    assert {"name": "eval_accuracy", "value": 0.875, "source": "eval_results.json:eval_accuracy"} in stated["facts"]
    assert (stated["losses"][0], stated["losses"][-1]) == ([10, 2], [40, 0.5])
    page = ask().get("/alice/reviews/verdict/main").content.decode()
    assert "not measured here" in page
    assert 'points="0.00,1.00 33.33,8.33 66.67,15.67 100.00,23.00"' in page
    assert '<code class="break">&lt;b&gt;</code>' in page
    Repository.objects.filter(pk=repository.pk).update(gated="manual")
    assert ask().get("/api/v1/adapters/alice/reviews/revisions/main").json()["training"] is None
    assert "not measured here" not in ask().get("/alice/reviews/verdict/main").content.decode()


def noted(**notes: str) -> bytes:
    """Weights without tensors whose header has these notes."""
    header = json.dumps({"__metadata__": notes}).encode()
    return len(header).to_bytes(8, "little") + header


def test_trigger_words_are_searched_until_a_gate_is_put_before_the_files(cast, repository):
    def found(**query: object) -> list[str]:
        return [row.full_name for row in catalog.search(NOBODY, Query(**query)).items]

    tags = json.dumps({"10_x": {"Zq7 Cat": 9, "gguf": 8}} | {"20_y": {f"{number:0200}": 1 for number in range(8)}})
    settings = b"base_model: a/b\ndatasets: [{path: d}]\nlora_r: 4\nlearning_rate: 1e-5\n"
    weights = {"adapter_model.safetensors": noted(ss_tag_frequency=tags)}
    files = {**weights, "axolotl_config.yml": settings, "b.yml": b"a: &x [*x]"}
    stated = training.training_of(pull.entries(pushed(cast, repository, files=files)))
    assert Stated("learning_rate", 1e-5, "axolotl_config.yml:learning_rate") in stated.facts
    row = Repository.objects.get(pk=repository.pk)
    assert row.triggers.startswith("\tzq7 cat\tgguf\t0000")
    assert len(row.triggers) <= 500
    assert found(q="zq7 cat") == found(q="gguf") == ["alice/reviews"]
    assert found(all_tags=["gguf"]) == [], "a word of a stranger is no tag"
    moves.move(row, "alice/cats", cast.session("alice"))
    assert found(q="zq7") == ["alice/cats"]
    alice = cast.session("alice")
    for gate, expected in (("manual", []), ("auto", []), ("", ["alice/cats"]), ("auto", [])):
        gates.set_gate(Repository.objects.get(pk=repository.pk), gate, alice)
        assert found(q="zq7") == expected, gate
    moves.move(Repository.objects.get(pk=repository.pk), "alice/pets", alice)
    assert (found(q="zq7"), found(q="pets")) == ([], ["alice/pets"])
    row = Repository.objects.get(pk=repository.pk)
    row.gated = ""  # as a push has it that read the row before the gate
    pushed(cast, row, files={"other.txt": b"x"})
    assert (found(q="zq7"), found(q="pets")) == ([], ["alice/pets"])


def test_the_trigger_word_in_the_settings_of_ai_toolkit_is_searched(cast, repository):
    """The weights of a LoRA for images say nothing of it, nor does the card."""
    name = "diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight"
    header = json.dumps({name: {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    settings = b"job: extension\nconfig:\n  process:\n  - type: x\n    trigger_word: Zq7 Cat\n    train: {steps: 2}\n"
    weights = len(header).to_bytes(8, "little") + header + bytes(64)
    cats = cast.repository("alice/cats")
    pushed(cast, cats, files={"cats.safetensors": weights, "config.yaml": settings})
    assert [row.full_name for row in catalog.search(NOBODY, Query(q="zq7 cat")).items] == ["alice/cats"]
    pushed(cast, repository, files={**FILES, "config.yaml": settings})
    assert Repository.objects.get(pk=repository.pk).triggers == "", "it calls up nothing in a model of text"
