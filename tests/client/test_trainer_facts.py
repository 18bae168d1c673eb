"""Facts of trainers: their values with file and key, from files of any content, and never from a pickle."""

import io
import json

import pytest

from dovetail.adapters.shapes import trainer_facts
from dovetail.adapters.shapes.trainer_facts import MAX_BYTES, MAX_POINTS, Training, read
from dovetail.adapters.shapes.trainer_settings import Stated
from dovetail.api import local_checks
from tests.sweep import sweep

HISTORY = [*({"step": step, "loss": 1 / step} for step in range(1, 301)), {"step": 300, "eval_loss": 2}]
STATE = {"global_step": 300, "epoch": 3.0, "best_metric": 0.91, "train_batch_size": True, "log_history": HISTORY}
BAD = (
    b"", b"{", b"[]", b'{"global_step": NaN, "log_history": {"a": 1}}', b"[" * 100_000, b"\xff", b" " * (MAX_BYTES + 1),
    b'{"\\ud800": 1, "a\\nb": 2}',
    b'{"global_step": 1' + b"0" * 400 + b', "log_history": [1, null, {"step": "a", "loss": 1}]}',
)  # fmt: skip


def facts(files, notes=None, card=None):
    """Read files, with notes in the header of x.safetensors, as `dovetail check` does."""
    if notes:
        header = json.dumps({"__metadata__": notes}).encode()
        files = {**files, "x.safetensors": len(header).to_bytes(8, "little") + header}
    openers = {path: (lambda raw=raw: io.BytesIO(raw)) for path, raw in files.items()}
    return read(openers, card or {}, local_checks._mapping)


def test_each_fact_has_the_file_and_the_key_it_was_read_from():
    path = "checkpoint-30/trainer_state.json"
    files = {
        "checkpoint-9/trainer_state.json": json.dumps({"global_step": 9}).encode(),
        path: json.dumps(STATE).encode(),
        "all_results.json": b'{"eval_f1": 0.5, "name": "x"}',
        "training_args.bin": b"no pickle is opened",
    }
    notes = {"ss_network_dim": "16", "ss_optimizer": "None", "ss_dataset_dirs": "/home/me", "modelspec.title": "T"}
    found = facts(files, notes)
    assert found.facts == (
        Stated("global_step", 300.0, f"{path}:global_step"),
        Stated("epoch", 3.0, f"{path}:epoch"),
        Stated("best_metric", 0.91, f"{path}:best_metric"),
        Stated("eval_f1", 0.5, "all_results.json:eval_f1"),
        Stated("modelspec.title", "T", "x.safetensors:modelspec.title"),
        Stated("ss_network_dim", "16", "x.safetensors:ss_network_dim"),
    )
    assert (found.losses[0], len(found.losses), found.losses_source) == ((1.0, 1.0), 100, f"{path}:log_history")
    assert len(found.losses) <= MAX_POINTS
    assert trainer_facts.paths(files) == [path, "all_results.json"]


# Files as trainers write them, and facts among those that are read from them.
SETTINGS = (
    ({"axolotl_config.yml": b"base_model: a/b\nadapter: qlora\nlora_r: 32\ndatasets:\n  - path: d\n"
      b"learning_rate: 1e-5\nlora_target_modules: [q_proj, v_proj]\nsample_packing: true\nval_set_size:\n"},
     [("trainer", "axolotl", "base_model"), ("lora_r", 32.0, "lora_r"), ("learning_rate", 1e-5, "learning_rate"),
      ("lora_target_modules", "q_proj, v_proj", "lora_target_modules"), ("sample_packing", "true", "sample_packing")]),
    ({"llama3_lora_sft.yaml": b"stage: sft\nfinetuning_type: lora\nlora_rank: 8\nnum_train_epochs: 3.0\n"},
     [("trainer", "LLaMA-Factory", "stage"), ("lora_rank", 8.0, "lora_rank"),
      ("num_train_epochs", 3.0, "num_train_epochs")]),
    ({"llamaboard_config.yaml": b"top.finetuning_type: lora\ntrain.learning_rate: 5e-5\ntop.quantization_bit: none\n"},
     [("trainer", "LLaMA-Factory", "top.finetuning_type"), ("train.learning_rate", 5e-5, "train.learning_rate")]),
    ({"config.yaml": b"job: extension\nconfig:\n  process:\n  - type: sd_trainer\n    trigger_word: p3rs0n\n"
      b"    network: {type: lora, linear: 16}\n    train: {steps: 2000}\n"},
     [("trainer", "ai-toolkit", "config.process.0.type"), ("network.linear", 16.0, "config.process.0.network.linear"),
      ("train.steps", 2000.0, "config.process.0.train.steps")]),
    ({"torchtune_config.yaml": b"model:\n  _component_: torchtune.models.llama3.lora_llama3_8b\n  lora_rank: 8\n"
      b"  lora_attn_modules: [q_proj]\noptimizer: {lr: 3e-4}\nepochs: 1\n"},
     [("trainer", "torchtune", "model._component_"), ("model.lora_rank", 8.0, "model.lora_rank"),
      ("optimizer.lr", 3e-4, "optimizer.lr"), ("model.lora_attn_modules", "q_proj", "model.lora_attn_modules")]),
    ({"hyperparameters.yaml": b"lora_r: 4\nlora_query: true\noptimizer:\n  class_path: torch.optim.AdamW\n"
      b"  init_args: {lr: 0.0002}\ntrain: {epochs: 5}\n"},
     [("trainer", "LitGPT", "lora_r"), ("train.epochs", 5.0, "train.epochs"),
      ("optimizer.init_args.lr", 0.0002, "optimizer.init_args.lr")]),
    ({"config_lora-20260101.toml": b'[network]\nnetwork_module = "networks.lora"\nnetwork_dim = 32\n'
      b'[a]\nunet_lr = 1e-4\nresolution = "512,512"\n'},
     [("trainer", "kohya", "network.network_module"), ("network_dim", 32.0, "network.network_dim"),
      ("unet_lr", 1e-4, "a.unet_lr"), ("resolution", "512,512", "a.resolution")]),
    ({"adapter_config.json": b'{"fine_tune_type": "lora", "iters": 600, "lora_parameters": {"scale": 20.0}}'},
     [("trainer", "MLX", "lora_parameters"), ("iters", 600.0, "iters"),
      ("lora_parameters.scale", 20.0, "lora_parameters.scale")]),
    ({"adapter_config.json": b'{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q", "v"]}'},
     [("lora_alpha", 16.0, "lora_alpha"), ("target_modules", "q, v", "target_modules")]),
)  # fmt: skip
CARD = b"""# out
This was trained 2x faster with [Unsloth](https://github.com/unslothai/unsloth).
<details><summary>See axolotl config</summary>

axolotl version: `0.13.0`
```yaml
base_model: a/b
lora_r: 4
datasets:
  - path: d
```
</details><br>

### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 0.0002
- optimizer: Use adamw_torch with betas=(0.9,0.999)

### Framework versions
- PEFT: 0.11
#### Non-Default Hyperparameters
- `warmup_ratio`: 0.1
"""


@pytest.mark.parametrize(("files", "expected"), SETTINGS)
def test_settings_are_told_by_the_keys_of_their_trainer(files, expected):
    [path] = files
    found = facts(files).facts
    told = {(fact.name, fact.value, fact.source) for fact in found}
    assert told >= {(name, value, f"{path}:{key}") for name, value, key in expected}
    assert "r" not in {fact.name for fact in found}, "the rank is shown by the page already"


def test_a_card_states_what_trainers_write_into_it():
    card = {"tags": ["axolotl", "loss:TripletLoss", "dataset_size:1000", 3], "model-index": [{"name": "out"}],
            "instance_prompt": "a photo of sks dog"}  # fmt: skip
    found = facts({"README.md": CARD}, card=card)
    assert [(fact.name, fact.value, fact.source.partition(":")[2]) for fact in found.facts] == [
        ("trainer", "Unsloth", "github.com/unslothai/unsloth"),
        ("trainer", "axolotl", "tags"),
        ("loss", "TripletLoss", "tags"),
        ("dataset_size", 1000.0, "tags"),
        ("lora_r", 4.0, "axolotl config:lora_r"),
        ("learning_rate", 0.0002, "learning_rate"),
        ("optimizer", "Use adamw_torch with betas=(0.9,0.999)", "optimizer"),
        ("warmup_ratio", 0.1, "warmup_ratio"),
    ]
    assert found.words == ("a photo of sks dog",)


HOSTILE = (
    b"stage: &a [x]\nfinetuning_type: *a", b"stage: !!python/object:os.system x\nfinetuning_type: lora",
    b"stage: !!int ''",
    b"{" * 3_000, b"[" * 3_000, b"a" + b".a" * 10_000 + b"= 1", b"a = " + b"[" * 3_000, b"stage: 2001-99-99",
    b"\xff\x00", b"- stage\n- finetuning_type", b"1: 2", b" " * 40_000 + b"stage: x\nfinetuning_type: lora",
    b"stage: {}\nfinetuning_type: {}\nseed: [{}, []]\nlora_rank: .inf",
)  # fmt: skip


@sweep("raw", HOSTILE)
def test_no_settings_are_an_error(raw):
    names = ("README.md", "a.yaml", "b.toml", "adapter_config.json", "training_args.yml")
    fence = b"See axolotl config\n```yaml\n" + raw + b"\n```\n"
    files = {name: fence if name == "README.md" else raw for name in names}
    found = facts(files, card={"tags": {}, "instance_prompt": 3})
    assert {fact.name for fact in found.facts} <= {"trainer"}


def test_trigger_words_are_the_phrase_or_the_commonest_tags():
    tags = json.dumps({"10_cat": {"sks cat": 9, "sitting": 4}, "2_dog": {"sitting": 7, "bad": "x"}, "odd": 3})
    assert facts({}, {"ss_tag_frequency": tags}).words == ("sitting", "sks cat")
    assert facts({}, {"ss_tag_frequency": tags, "modelspec.trigger_phrase": " sks "}).words == ("sks",)


@pytest.mark.parametrize("raw", BAD)
def test_no_content_is_an_error(raw):
    notes = {"ss_tag_frequency": "{", "modelspec.title": "\ud800"}
    assert facts({"trainer_state.json": raw, "all_results.json": raw}, notes) == Training()
