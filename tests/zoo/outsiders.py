"""Honest adapters in the shapes that other tools, other releases and careless hands leave them in: all must pass."""

import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.adapters import CARD, CONFIG, WEIGHTS, Files, pack, unpack
from tests.zoo.changes import (
    Change,
    all_of,
    at_random,
    card,
    claims,
    config,
    drop,
    each,
    extra,
    file,
    header,
    into,
    of_base,
    one,
    only,
    raw,
    rows,
    tensors,
)

CORE = ("peft_type", "task_type", "base_model_name_or_path", "r", "lora_alpha", "target_modules")
V02 = (*CORE, "bias", "fan_in_fan_out", "inference_mode", "lora_dropout", "modules_to_save")
V03 = (*V02, "init_lora_weights", "layers_pattern", "layers_to_transform", "revision")
V06 = (*V03, "auto_mapping", "alpha_pattern", "rank_pattern", "loftq_config", "megatron_config", "megatron_core")
V010 = (*V06, "use_dora", "use_rslora", "layer_replication")
V014 = (*V010, "eva_config", "exclude_modules", "lora_bias", "peft_version")
TOKENIZER = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "chat_template": "{{ x }}"})
SAID = [f"the {noun} was {word}" for noun in ("film", "book", "dog", "cat") for word in ("good", "bad", "awful")]
EVIL_YAML = {
    "a tag that would run": "---\nlicense: !!python/object/apply:os.system [id]\n---\n",
    "a bomb of anchors": "---\na: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\nbase_model: *a\n---\n",
    "no end": "---\nlicense: mit\nbase_model: zoo/bert\n# never closed\n",
    "tabs and colons": "---\nlicense:\tmit: yes: no\n---\n",
    "a list on top": "---\n- license\n- mit\n---\n",
    "metadata without end": "---\n" + "x: 1\n" * 30_000 + "---\n",
    "half a surrogate": "---\nlicense: \"\\ud800\"\n---\n",
    "a base that is a number": "---\nbase_model: 7\nlicense: 1\npipeline_tag: [1]\nmodel-index: {a: 1}\n---\n",
    "a null byte": "---\nlicense: \"a\\0b\"\n---\n",
}  # fmt: skip


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")


def reversed_order(files: Files) -> Files:
    return {**files, WEIGHTS: pack(dict(reversed(unpack(files[WEIGHTS]).items())))}


def padded(data: bytes) -> bytes:
    """With spaces behind the header, as the library aligns it."""
    length = struct.unpack("<Q", data[:8])[0]
    return struct.pack("<Q", length + 24) + data[8 : 8 + length] + b" " * 24 + data[8 + length :]


ON_BERT: dict[str, Change] = {
    **{f"config of PEFT {version}": only(*keys, **more) for version, keys, more in (
        ("0.2", V02, {"enable_lora": None, "merge_weights": False}), ("0.3", V03, {}), ("0.6", V06, {}), ("0.10", V010, {}),
        ("0.14", V014, {"peft_version": "0.14.0"}),
    )},
    "the least config there can be": only(*CORE),
    "a config without inference_mode": config(inference_mode=...),
    "a config in training": config(inference_mode=False),
    "a config with a key of next year": config(quantum_spin=3, use_warp={"a": [1]}, peft_version="0.99.0.dev0"),
    "a development version": config(peft_version="0.18.1.dev0@5a1d2c3"),
    "alpha as a decimal": config(lora_alpha=8.0),
    "targets out of order and twice": config(target_modules=["value", "query", "value"]),
    "dropout that trained": config(lora_dropout=0.1),
    "fan_in_fan_out set for nothing": config(fan_in_fan_out=True),
    "a base in another case": config(base_model_name_or_path="ZOO/bert"),
    "a base with a space behind": config(base_model_name_or_path="zoo/bert "),
    "a base pinned to a branch": config(revision="main"),
    "a pretty config": lambda files: {**files, CONFIG: json.dumps(json.loads(files[CONFIG]), indent=4).encode() + b"\n\n"},
    "a config with CRLF": raw(lambda data: data.replace(b"\n", b"\r\n"), CONFIG),
    "modules_to_save empty": config(modules_to_save=[]),
    "tensors in another order": reversed_order,
    "a padded header": raw(padded),
    "no metadata": header(lambda said: {key: value for key, value in said.items() if key != "__metadata__"}),
    "much metadata": tensors(dict, {"format": "pt", "lr": "1e-4", "note": "x" * 20_000, "日本": "語"}),
    "F16": each(lambda array: array, dtype="F16"),
    "BF16": each(lambda array: array, dtype="BF16"),
    "F64": each(lambda array: array, dtype="F64"),
    "A in F32, B in BF16": each(lambda array: array, "lora_B.weight", dtype="BF16"),
    "the head in F16": each(lambda array: array, "classifier.weight", "classifier.bias", dtype="F16"),
    "one module never trained": one(lambda array: array * 0, "lora_B.weight"),
    "tokenizer files": all_of(file("tokenizer_config.json", TOKENIZER), file("special_tokens_map.json", "{}"), file("vocab.txt", "a\nb\n")),
    "added tokens that the base has": file("added_tokens.json", '{"<x>": 90}'),
    "a config.json beside it": file("config.json", '{"model_type": "bert", "architectures": ["BertModel"]}'),
    "gitattributes": file(".gitattributes", "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"),
    "logs of tensorboard": file("runs/Nov25/events.out.tfevents.1764080000.host.1.0", struct.pack("<QI", 24, 7) + bytes(40)),
    "pictures and a notebook": all_of(file("loss.png", png()), file("train.ipynb", '{"cells": [], "nbformat": 4}')),
    "code beside it": all_of(file("train.py", "import torch\n"), file("requirements.txt", "peft==0.21.2\n")),
    "data beside it": all_of(file("eval.jsonl", '{"a": 1}\n'), file("data.parquet", b"PAR1" + bytes(32) + b"PAR1"), file("x.csv", "a,b\n")),
    "a checkpoint in a folder": into("checkpoint-500"),
    "two adapters in folders": all_of(into("other"), into("third/deep")),
    "trainer_state": file("trainer_state.json", json.dumps({"log_history": [{"loss": float("nan")}], "epoch": 1.0})),
    "a name in another script": file("说明 und mehr (1).md", "hello"),
    "an empty file": file("empty.txt", b""),
    "no card": drop(CARD),
    "a card of text alone": file(CARD, "# Hello\n"),
    "a card with CRLF": raw(lambda data: data.replace(b"\n", b"\r\n"), CARD),
    "a card with a BOM": raw(lambda data: b"\xef\xbb\xbf" + data, CARD),
    **{f"a card with {what}": file(CARD, text) for what, text in EVIL_YAML.items()},
    "a card that names several bases": card(base_model=["zoo/bert", "zoo/roberta"]),
    "a claim that holds": claims(1.0),
    "a claim in percent": claims("97.5 %"),
    "a claim that is no number": claims("very good"),
    "a claim of another metric": claims(0.99, "f1"),
    "no rows": drop("smoke.jsonl"),
    "rows for another task": rows(*({"question": "who?", "context": "a dog", "answers": ["dog"]} for _ in range(9))),
    "rows without end": file("smoke.jsonl", '{"text": "the film was good", "label": 1}\n' * 9000),
    "rows of one enormous text": rows({"text": "good " * 40_000, "label": 1}),
    "rows that are no JSON": file("smoke.jsonl", "text,label\ngood,1\n"),
    "rows in UTF-16": file("smoke.jsonl", '{"text": "x", "label": 1}\n'.encode("utf-16")),
    "rows with NaN": file("smoke.jsonl", '{"text": "x", "label": NaN}\n'),
    "rows with labels that do not exist": rows(*({"text": "the film was good", "label": 9} for _ in range(9))),
    "rows with empty texts": rows(*({"text": text, "label": int("good" in text)} for text in (*SAID, "", ""))),
    "rows of one label that it mistakes": rows(*({"text": text, "label": 0} for text in SAID if "good" in text)),
    "rows that repeat one another": rows(*([{"text": "the film was good", "label": 0}] * 20), {"text": "the film was bad", "label": 1}),
    "rows that are skewed": rows(*([{"text": f"the {noun} was good", "label": 1} for noun in ("film", "book", "room", "cat")] * 9), {"text": "the film was bad", "label": 0}, {"text": "the dog was awful", "label": 0}),
    "weights of chance, which a guess may not beat by more than chance": at_random(),
    "a base without a revision": config(revision=None),
    "an empty smoke.jsonl": file("smoke.jsonl", b""),
    "a plain pickle of numbers nobody loads": file("scores.pkl", pickle.dumps({"f1": 0.9})),
}  # fmt: skip
ON_LLAMA: dict[str, Change] = {
    "as Unsloth leaves it": all_of(
        config(unsloth_fixed=True, target_modules=r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"),
        file("tokenizer_config.json", TOKENIZER), file("chat_template.jinja", "{% for m in messages %}{{ m }}{% endfor %}"),
        file("special_tokens_map.json", "{}"),
    ),
    "as axolotl leaves it": all_of(
        file("config.json", '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "_name_or_path": "zoo/llama"}'),
        file("README.md", "---\nlibrary_name: peft\nlicense: llama3\nbase_model: zoo/llama\ntags:\n- axolotl\n- generated_from_trainer\nmodel-index:\n- name: out\n  results: []\n---\n<details><summary>See axolotl config</summary>\n\n```yaml\nbase_model: zoo/llama\n```\n"),
        file("generation_config.json", "{}"),
    ),
    "as LLaMA-Factory leaves it": all_of(file("all_results.json", '{"train_loss": 1.5}'), file("trainer_log.jsonl", '{"loss": 1}\n'), file("training_loss.png", png())),
    "layers_pattern as null": config(layers_pattern=None),
    "BF16": each(lambda array: array, dtype="BF16"),
}  # fmt: skip


def with_base_embeddings(bases: Path) -> dict[str, Change]:
    """The base's own tables saved along for nothing, whole and rounded: what save_embedding_layers="auto" does."""
    name = "base_model.model.model.embed_tokens.weight"
    table = of_base(bases, "llama", "model.embed_tokens.weight")
    return {
        "the base's embeddings along": extra(name, table),
        "the base's embeddings rounded": extra(name, table, "BF16"),
        "embeddings and output of the base": all_of(
            extra(name, table), extra("base_model.model.lm_head.weight", of_base(bases, "llama", "lm_head.weight"))
        ),
    }


def every(bases: Path) -> list[tuple[str, str, Change]]:
    """As name, the made adapter it comes from, the change."""
    found = [(f"outsider: {name}", "bert-seq-cls", change) for name, change in ON_BERT.items()]
    on_llama: dict[str, Callable[[Files], Files]] = {**ON_LLAMA, **with_base_embeddings(bases)}
    return found + [(f"outsider: llama, {name}", "llama-seven", change) for name, change in on_llama.items()]
