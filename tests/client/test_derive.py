"""`dovetail convert` and `combine` without a hub, and `dovetail derive` as far as a hub without workers goes."""

import json

import pytest

from tests.adapters import CONFIG, MINILM, TINY_LLAMA, WEIGHTS, lora, pack, unpack, write
from tests.live import Hub, wait_until

pytestmark = pytest.mark.merge

NOBODY = "http://127.0.0.1:9"  # the discard port


def with_copied_embedding(hub: Hub, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return an adapter of the hub's base with the base's own embedding in it, as PEFT saves it."""
    (weights,) = (hub.data / "shelf").rglob("model.safetensors")
    table = unpack(weights.read_bytes())["embeddings.word_embeddings.weight"]
    copied = {"base_model.model.bert.embeddings.word_embeddings.weight": table}
    config = json.loads(files[CONFIG]) | {"modules_to_save": ["classifier", "word_embeddings"]}
    return files | {WEIGHTS: pack(unpack(files[WEIGHTS]) | copied), CONFIG: json.dumps(config).encode()}


@pytest.fixture
def folders(tmp_path):
    """Two LoRAs of one base, and the folder of that base."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "qwen2", "num_attention_heads": 4}')
    made = [write(lora(TINY_LLAMA, task="CAUSAL_LM", seed=seed), tmp_path / f"lora{seed}") for seed in (1, 2)]
    return [*made, base]


def test_a_folder_is_converted_whole_or_not_at_all(ask, folders, tmp_path):
    one, _, base = folders
    out = tmp_path / "out"
    told = ask("convert", one, "--to", "gguf", "--base", base, "--out", out, hub=NOBODY)
    assert (told["lossless"], told["path"]) == (True, str(out))
    assert {file.name for file in out.iterdir()} == {"README.md", "adapter.gguf"}
    assert "already exists" in ask("convert", one, "--to", "mlx", "--out", out, hub=NOBODY, status=2)["detail"]
    half = ask("convert", one, "--to", "fp16", "--out", tmp_path / "half", hub=NOBODY)
    assert 0 < half["largest_error"] < 0.001
    refused = ask("convert", one, "--to", "kohya", "--out", tmp_path / "no", hub=NOBODY, status=1)
    assert refused["code"] == "client-not-convertible"
    assert "model.layers.0.self_attn.q_proj: kohya has names for the modules of UNets" in refused["detail"]
    assert not [path for path in tmp_path.iterdir() if path.name == "no" or path.name.startswith(".dovetail-")]
    needs = ask("convert", one, "--to", "slim", "--out", tmp_path / "no", hub=NOBODY, status=2)
    assert "--base DIR" in needs["fix"]


def test_folders_are_combined(ask, folders, tmp_path):
    one, two, _ = folders
    out = tmp_path / "both"
    ask("combine", one, two, "--method", "ties", "--density", 0.5, "--weights", "0.7,0.3", "--out", out, hub=NOBODY)
    assert json.loads((out / CONFIG).read_text())["lora_alpha"] == 4
    assert unpack((out / WEIGHTS).read_bytes()).keys() == unpack((one / WEIGHTS).read_bytes()).keys()
    for words, detail in (
        (("--weights", "1"), "1 weights for 2 adapters"),
        (("--weights", "much"), "is not a list of numbers"),
        (("--method", "sum"), "no method 'sum'"),
    ):
        refused = ask("combine", one, two, *words, "--out", tmp_path / "no", hub=NOBODY, status=2)
        assert detail in refused["detail"]
    assert "written to a folder or pushed" in ask("combine", one, two, hub=NOBODY, status=2)["detail"]


def test_what_derive_is_asked_must_be_whole(ask):
    assert "a format or a method" in ask("derive", "a/b", hub=NOBODY, status=2)["detail"]
    words = ("--method", "cat", "--with", "a/c:heavy", "--into", "a/d")
    assert "does not end in a weight" in ask("derive", "a/b", *words, hub=NOBODY, status=2)["detail"]


def test_a_hub_converts_and_merges_versions(ask, working_hub, folders, tmp_path):
    one, two, _ = folders
    for folder, name in ((one, "one"), (two, "two"), (two, "both")):
        ask("push", folder, f"alice/derived-{name}", hub=working_hub, who="alice")
    derive = ("derive", "alice/derived-one", "--method", "ties", "--density", 0.5, "--weight", 0.7)
    merged = ask(
        *derive, "--with", "alice/derived-two:0.3", "--into", "alice/derived-both", hub=working_hub, who="alice"
    )
    assert (merged["state"], merged["adapter"], merged["ref"]) == ("done", "alice/derived-both", "refs/heads/main")
    assert [source["weight"] for source in merged["sources"]] == [0.7, 0.3]
    own = ask(*derive, "--with", "alice/derived-two", "--into", "alice/derived-two", hub=working_hub, who="alice")
    assert own["state"] == "done", "a merge into one of its own sources is made once"
    again = ask("derive", "alice/derived-one", "--to", "mlx", hub=working_hub, who="alice")
    same = ask("derive", "alice/derived-one", "--to", "mlx", hub=working_hub, who="alice")
    assert (same["id"], same["revision"]) == (again["id"], again["revision"])
    pulled = ask("pull", "alice/derived-one@derived/mlx", "--to", tmp_path / "mlx", hub=working_hub, who="alice")
    assert pulled["revision"] == again["revision"]
    assert (tmp_path / "mlx" / "adapters.safetensors").exists()
    refused = ask("derive", "alice/derived-one", "--to", "kohya", hub=working_hub, who="alice", status=1)
    assert refused["reason"].startswith("model.layers.0.self_attn.q_proj: kohya has names")


def test_a_hub_takes_the_copy_of_its_base_out_of_an_adapter(ask, working_hub, tmp_path):
    plain = lora(MINILM)
    fat = write(with_copied_embedding(working_hub, plain), tmp_path / "fat")
    ask("push", fat, "alice/with-copy", hub=working_hub, who="alice")
    slim = ask("derive", "alice/with-copy", "--to", "slim", hub=working_hub, who="alice")
    assert (slim["state"], slim["lossless"]) == ("done", True)
    folder = tmp_path / "slim"
    ask("pull", "alice/with-copy@derived/slim", "--to", folder, hub=working_hub, who="alice")
    assert unpack((folder / WEIGHTS).read_bytes()) == unpack(plain[WEIGHTS])
    assert json.loads((folder / CONFIG).read_text())["modules_to_save"] == ["classifier"]
    info = ("info", "alice/with-copy@derived/slim")
    wait_until(lambda: ask(*info, hub=working_hub)["revision"]["state"] == "passed", working_hub)


def test_an_engine_runs_what_loralib_saved(ask, working_hub, tmp_path):
    """As loralib.lora_state_dict saves it of a BertModel, with an alpha that only the card knows."""
    tensors = {
        name.removeprefix("base_model.model.").removesuffix(".weight"): value
        for name, value in unpack(lora(MINILM, task="FEATURE_EXTRACTION")[WEIGHTS]).items()
    }
    folder = write({"lora.safetensors": pack(tensors)}, tmp_path / "loralib")
    (folder / "README.md").write_text(f"---\nbase_model: {MINILM.id}\nlora_alpha: 8\nlicense: mit\n---\n")
    ask("push", folder, "alice/of-loralib", hub=working_hub, who="alice")
    made = ask("derive", "alice/of-loralib", "--to", "peft", hub=working_hub, who="alice")
    assert (made["state"], made["lossless"]) == ("done", True)
    told = ask("verdict", "alice/of-loralib@derived/peft", "--wait", hub=working_hub, who="alice")
    assert (told["state"], told["depth"]) == ("passed", "run")


def test_a_hub_makes_a_lora_of_a_smaller_rank_and_tells_what_it_loses(ask, working_hub, tmp_path):
    ask("push", write(lora(MINILM, rank=8), tmp_path / "wide"), "alice/wide", hub=working_hub, who="alice")
    made = ask("derive", "alice/wide", "--to", "peft-lora", "--rank", 4, hub=working_hub, who="alice")
    assert (made["state"], made["lossless"]) == ("done", False)
    assert 0.1 < made["lost"] < 0.9
    ask("pull", "alice/wide@derived/peft-lora", "--to", tmp_path / "narrow", hub=working_hub, who="alice")
    config = json.loads((tmp_path / "narrow" / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["task_type"]) == (4, 4, "SEQ_CLS")
    names = unpack((tmp_path / "narrow" / WEIGHTS).read_bytes())
    assert "base_model.model.classifier.weight" in names
    exact = ask("derive", "alice/wide", "--to", "peft-lora", "--rank", 8, hub=working_hub, who="alice")
    assert exact["lost"] < 1e-5
