"""Facts that trainers state: in the manifest of a revision and on the page of its verdict, and behind a gate."""

import hashlib
import json

from dovetail.adapters.shapes.trainer_settings import Stated
from registry.kernel.policy import NOBODY
from registry.models import Base, Repository
from registry.people import gates
from registry.publish import moves
from registry.repos import pull
from registry.repos.contents import stored_facts
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query
from registry.repos.refs import MAIN
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
    assert 'points="0.00,2.32 33.33,8.77 66.67,15.23 100.00,21.68"' in page
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
    revision = pushed(cast, repository, files=files)
    stated = stored_facts.revision_facts(revision, pull.entries(revision)).training
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


def test_the_digest_of_the_checkpoint_is_compared_with_the_base_that_the_card_names(ask, cast):
    """A base in the cache, or a repository that the reader may have; what is not known is not told."""
    digest, other = "a" * 64, hashlib.sha256(b"checkpoint").hexdigest()
    images = cast.repository("alice/images")
    lora = {"lora.safetensors": noted(ss_network_module="networks.lora", ss_new_sd_model_hash=digest)}

    def told(card: str, files: dict[str, bytes] = lora) -> object:
        pushed(cast, images, files={**files, "README.md": f"---\nbase_model: {card}\n---\n".encode()})
        return ask().get("/api/v1/adapters/alice/images/revisions/main").json()["training"]["checkpoint"]

    files = {"sd.safetensors": digest, "unet/a.safetensors": "b" * 64}
    Base.objects.create(id="lab/sd", revision="r", sha256="0" * 64, files=files, has_weights=False)
    Base.objects.create(id="lab/folders", revision="r", sha256="1" * 64, files={"unet/a.safetensors": "b" * 64})
    assert told("lab/sd") == {"sha256": digest, "base": "lab/sd", "path": "sd.safetensors"}
    assert told("lab/folders") is told("lab/nowhere") is told("[]") is None
    pushed(cast, cast.repository("alice/sd"), files={"sd.ckpt": b"checkpoint"})
    pushed(cast, cast.repository("bob/secret", by="bob", private=True), by="bob", files={"sd.ckpt": b"checkpoint"})
    assert told("bob/secret") is None
    assert told("alice/sd") == {"sha256": digest, "base": "alice/sd", "path": None}
    judged(images.refs.get(name=MAIN).revision)
    page = " ".join(ask().get("/alice/images/verdict/main").content.decode().split())
    assert 'no checkpoint of <span class="break">alice/sd</span> that is known here has it' in page
    own = {"lora.safetensors": noted(ss_network_module="networks.lora", ss_new_sd_model_hash=other)}
    assert told("alice/sd", own) == {"sha256": other, "base": "alice/sd", "path": "sd.ckpt"}
