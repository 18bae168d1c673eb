"""Adapters of the real libraries, spoilt in one way each, and the one check that must refuse each of them."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.adapters import CONFIG, SMOKE, WEIGHTS, Files, Payload, with_header
from tests.zoo.changes import (
    BERT,
    LLAMA,
    QUERY,
    Change,
    all_of,
    claims,
    config,
    drop,
    each,
    extra,
    file,
    first,
    header,
    move,
    of_base,
    one,
    put,
    raw,
    renamed,
    tensor,
    tensors,
    values,
    without,
)

LAYER = f"{BERT}.encoder.layer"
EVIL = pickle.dumps(Payload())


def archive(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr(name, data)
    return buffer.getvalue()


def twice(said: dict[str, Any]) -> bytes:
    """A header that names one tensor twice: the second entry points elsewhere."""
    name = first(said)
    text = json.dumps(said)
    return (text[:-1] + f", {json.dumps(name)}: {json.dumps(said[name])}}}").encode()


def entry(change: dict[str, Any]) -> Change:
    return header(lambda said: {**said, first(said): {**said[first(said)], **change}})


def swapped(a: str, b: str) -> Change:
    return renamed(lambda name: name.replace(a, "\0").replace(b, a).replace("\0", b))


def shifted(files: dict[str, bytes]) -> dict[str, bytes]:
    """A hole in front of the second tensor."""
    length = struct.unpack("<Q", files[WEIGHTS][:8])[0]
    said, body = json.loads(files[WEIGHTS][8 : 8 + length]), files[WEIGHTS][8 + length :]
    for name, one_entry in said.items():
        if name not in ("__metadata__", first(said)):
            one_entry["data_offsets"] = [offset + 16 for offset in one_entry["data_offsets"]]
    cut = said[first(said)]["data_offsets"][1]
    return {**files, WEIGHTS: with_header(json.dumps(said).encode(), body[:cut] + bytes(16) + body[cut:])}


def mislabelled(files: Files) -> Files:
    """Every fourth row with the other label: three of four are right, and nobody may claim more."""
    found = [json.loads(line) for line in files[SMOKE].splitlines()]
    changed = [row | ({"label": 1 - row["label"]} if at % 4 == 0 else {}) for at, row in enumerate(found)]
    return {**files, SMOKE: "".join(json.dumps(row) + "\n" for row in changed).encode()}


HEADERS: dict[str, Change] = {
    "a header longer than the file": raw(lambda data: struct.pack("<Q", len(data)) + data[8:]),
    "a length of nothing": raw(lambda data: bytes(8) + data[8:]),
    "a tensor named twice": header(dict, twice),
    "a hole between tensors": shifted,
    "offsets that overlap": header(lambda said: {**said, first(said): {**said[first(said)], "data_offsets": [8, 520]}}),
    "offsets behind the end": entry({"data_offsets": [10**9, 10**9 + 512]}),
    "a shape that is not its bytes": entry({"shape": [4, 64]}),
    "a negative size": entry({"shape": [-4, -32]}),
    "a tensor of nothing": tensors(lambda t: {**t, f"{QUERY}.lora_A.extra": ("F32", (0, 32), b"")}),
    "a dtype of next year": entry({"dtype": "F4_E9"}),
    "a dtype that is a number": entry({"dtype": 7}),
    "a header that is a list": header(lambda said: [said]),
    "a header of text": header(lambda _: "hello"),
    "metadata that is no text": header(lambda said: {**said, "__metadata__": {"n": 3}}),
    "metadata that is a bomb": header(lambda said: {**said, "__metadata__": {"n": "x" * 5_000_000}}),
    "a name with a line break": extra("base_model.model.x\ny.weight"),
    "a name in other letters": extra("base_model.model.bërt.weight"),
    "a name with NUL": extra("base_model.model.x\0.weight"),
    "a name without letters": extra(""),
    "zeros in front of the header": header(dict, lambda said: b"\0" * 8 + json.dumps(said).encode()),
    "a pointer of git-lfs": file(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"),
    "a page in place of weights": file(WEIGHTS, "<!DOCTYPE html><html><body>404</body></html>"),
    "the end cut off": raw(lambda data: data[: len(data) * 2 // 3]),
    "one byte too many": raw(lambda data: data + b"\0"),
    "nothing but a header": raw(lambda data: data[: 8 + struct.unpack("<Q", data[:8])[0]]),
}  # fmt: skip
PICKLES: dict[str, Change] = {
    "training_args.bin that runs a command": file("training_args.bin", EVIL),
    "optimizer.pt that runs a command": file("checkpoint-5/optimizer.pt", archive("archive/data.pkl", EVIL)),
    "a pickle among logs": file("runs/events.out.tfevents.1", EVIL),
    "a pickle called a picture": file("loss.png", EVIL),
    "a pickle of the oldest kind": file("model.pkl", b"cos\nsystem\n(S'id'\ntR."),
    "a pickle that ends early": file("adapter_model.bin", EVIL[:-2] + b"\xff\xff"),
    "an archive called safetensors": raw(lambda _: archive("archive/data.pkl", EVIL)),
    "a pickle in an archive of another name": file("data.zip", archive("x/data.pkl", EVIL)),
    "names hidden in a memo": file("x.bin", b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x02id\x85R."),
    "weights.pth beside the adapter": file("weights.pth", archive("weights/data.pkl", EVIL)),
}  # fmt: skip
CONFIGS: dict[str, tuple[str, Change]] = {
    "a byte order mark": ("config.invalid", raw(lambda data: b"\xef\xbb\xbf" + data, CONFIG)),
    "UTF-16": ("config.invalid", raw(lambda data: data.decode().encode("utf-16"), CONFIG)),
    "Latin-1": ("config.invalid", raw(lambda data: data.replace(b'"LORA"', b'"LOR\xc4"'), CONFIG)),
    "comments": ("config.invalid", raw(lambda data: b"// trained by me\n" + data, CONFIG)),
    "a comma too many": ("config.invalid", raw(lambda data: data.rstrip()[:-1] + b",}", CONFIG)),
    "single quotes": ("config.invalid", raw(lambda data: data.replace(b'"', b"'"), CONFIG)),
    "two objects": ("config.invalid", raw(lambda data: data + data, CONFIG)),
    "an empty config": ("config.invalid", file(CONFIG, b"")),
    "a config that is a list": ("config.invalid", file(CONFIG, b"[]")),
    "a config without end": ("config.invalid", config(note="x" * 300_000)),
    "a rank in quotes": ("config.invalid", config(r="4")),
    "a rank that is true": ("config.invalid", config(r=True)),
    "a rank with a point": ("config.invalid", config(r=4.0)),
    "an alpha in quotes": ("config.invalid", config(lora_alpha="8")),
    "an alpha out of range": ("config.invalid", config(lora_alpha=10**300)),
    "targets that are a number": ("config.invalid", config(target_modules=7)),
    "a target without a name": ("config.invalid", config(target_modules=["query", ""])),
    "a target that is no text": ("config.invalid", config(target_modules=["query", None])),
    "a bias nobody knows": ("config.invalid", config(bias="weird")),
    "DoRA in quotes": ("config.invalid", config(use_dora="false")),
    "a task nobody knows": ("config.invalid", config(task_type="MIND_READING")),
    "a base that is a list": ("config.invalid", config(base_model_name_or_path=["zoo/bert"])),
    "a base with NUL": ("config.invalid", config(base_model_name_or_path="zoo/bert\0")),
    "a rank below zero": ("config.rank", config(r=-4)),
    "a rank of a million": ("config.rank", config(r=1_000_000)),
    "a rank pattern of other weights": ("config.rank", config(rank_pattern={"value": 7})),
    "a method in lower case": ("config.kind", config(peft_type="lora")),
    "a method of next year": ("config.kind", config(peft_type="LORA2")),
    "a pattern without end": ("config.pattern", config(target_modules=r"(([a-z.]+)+)+(query|value)!")),
    "layers by an evil pattern": ("config.pattern", config(layers_to_transform=[0, 1], layers_pattern=["(l+)+ayer"])),
    "a library of his own": ("config.code", config(auto_mapping={"base_model_class": "X", "parent_library": "os"})),
    "a module to import": ("config.code", config(megatron_config={"a": 1}, megatron_core="subprocess")),
    "a path to open": ("config.fetch", config(prompt_tuning_init_state_dict_path="/proc/self/environ")),
    "adapters to fetch": ("config.fetch", config(adapters={"a": "evil/lora"})),
    "PiSSA": ("config.changes-base", config(init_lora_weights="pissa_niter_16")),
    "LoftQ": ("config.changes-base", config(init_lora_weights="loftq", loftq_config={"loftq_bits": 4})),
    "CorDA": ("config.changes-base", config(init_lora_weights="corda")),
    "layers twice": ("config.changes-base", config(layer_replication=[[0, 1], [0, 2]])),
    "no base": ("base.unnamed", config(base_model_name_or_path="")),
    "a path of the machine": ("base.local-path", config(base_model_name_or_path="/root/models/bert")),
    "a path from here": ("base.local-path", config(base_model_name_or_path="./output/checkpoint-100")),
    "a path up": ("base.local-path", config(base_model_name_or_path="../bert")),
    "a path in Colab": ("base.local-path", config(base_model_name_or_path="/content/drive/MyDrive/bert")),
    "a path with a drive": ("base.local-path", config(base_model_name_or_path="D:\\models\\bert")),
    "an address": ("base.local-path", config(base_model_name_or_path="https://huggingface.co/zoo/bert")),
    "another base": ("base.mismatch", config(base_model_name_or_path="zoo/roberta")),
}  # fmt: skip
TENSORS: dict[str, tuple[str, Change]] = {
    "NaN in one element of a bias": ("tensors.not-finite", one(put(float("nan"), 1), "classifier.bias")),
    "infinity in F16": ("tensors.not-finite", one(put(float("inf")), "lora_A.weight", "F16")),
    "minus infinity in BF16": ("tensors.not-finite", one(put(float("-inf")), "lora_B.weight", "BF16")),
    "NaN in F64": ("tensors.not-finite", one(put(float("nan")), "lora_B.weight", "F64")),
    "half of the layers": ("fit.missing", without(lambda name: ".layer.1." in name)),
    "a layer under the number of another": ("fit.missing", renamed(lambda name: name.replace(".layer.1.", ".layer.7."))),
    "a third layer": ("fit.unexpected", tensors(lambda t: t | {n.replace(".layer.1.", ".layer.2."): e for n, e in t.items() if ".layer.1." in n})),
    "transposed A": ("config.rank", each(lambda a: a.T, "lora_A.weight")),
    "transposed B": ("config.rank", each(lambda a: a.T, "lora_B.weight")),
    "A and B exchanged": ("config.rank", swapped("lora_A", "lora_B")),
    "A without B": ("tensors.pair", without(lambda name: name.endswith("value.lora_B.weight"))),
    "one module of another rank": ("config.rank", all_of(one(lambda a: a[:2], "lora_A.weight"), one(lambda a: a[:, :2], "lora_B.weight"))),
    "B of another rank": ("config.rank", one(lambda a: a[:, :3], "lora_B.weight")),
    "A for a wider base": ("fit.shape", each(lambda a: np.tile(a, 2), "lora_A.weight")),
    "B for a wider base": ("fit.shape", each(lambda a: np.tile(a, (2, 1)), "lora_B.weight")),
    "a head for a wider base": ("fit.shape", one(lambda a: np.tile(a, 2), "classifier.weight")),
    "no head": ("eval.random-head", without(lambda name: "classifier" in name)),
    "a head without its bias": ("fit.missing", without(lambda name: name.endswith("classifier.bias"))),
    "a head and no adapter": ("tensors.targets", without(lambda name: "lora_" in name)),
    "every B zero": ("tensors.all-zero", each(lambda a: a * 0, "lora_B.weight")),
    "every A zero": ("run.no-effect", each(lambda a: a * 0, "lora_A.weight")),
    "everything next to nothing": ("run.no-effect", each(lambda a: a * 1e-12, "lora_A.weight", "lora_B.weight")),
    "an alpha of zero": ("run.no-effect", config(lora_alpha=0)),
    "everything beyond measure": ("run.not-finite", each(lambda a: a * 1e30, "lora_A.weight", "lora_B.weight")),
    "the prefix of another wrapper": ("tensors.unused", renamed(lambda name: name.replace("base_model.model.", "module."))),
    "the prefix twice": ("fit.missing", renamed(lambda name: f"base_model.model.{name}")),
    "names of a compiled model": ("fit.missing", renamed(lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."))),
    "a head with the adapter's own name": ("fit.missing", renamed(lambda name: name.replace("classifier.", "classifier.modules_to_save.default."))),
    "names with that of another adapter": ("tensors.unused", renamed(lambda name: name.replace(".weight", ".second.weight") if "lora_" in name else name)),
    "names in capitals": ("tensors.replaces-base", renamed(lambda name: name.replace("lora_", "LORA_"))),
    "a second adapter under another name": ("tensors.unused", extra(f"{QUERY}.lora_A.other.weight", np.ones((4, 32)))),
    "a tensor of no module": ("tensors.unused", extra("step", np.ones((1,)))),
    "a tensor of another method": ("tensors.unused", extra(f"{QUERY}.lokr_w1", np.ones((4, 4)))),
    "magnitudes without DoRA": ("tensors.pair", extra(f"{QUERY}.lora_magnitude_vector", np.ones(32))),
    "DoRA without magnitudes": ("tensors.pair", config(use_dora=True)),
    "a target that is not in the file": ("tensors.targets", config(target_modules=["query", "value", "key"])),
    "a target too few": ("tensors.targets", config(target_modules=["value"])),
    "a pattern that meets nothing": ("tensors.targets", config(target_modules=r".*q_proj")),
    "a pattern that meets everything": ("fit.missing", config(target_modules=r".*")),
    "one layer in the config": ("tensors.targets", config(layers_to_transform=[0])),
    "a module to save that is not here": ("fit.missing", config(modules_to_save=["classifier", "pooler"])),
    "names that DDP left": ("fit.missing", renamed(lambda name: name.replace("base_model.model.", "base_model.model.module."))),
    "names that torch.compile left": ("fit.missing", renamed(lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."))),
    "names that FSDP left": ("fit.missing", renamed(lambda name: name.replace(".attention.", "._fsdp_wrapped_module.attention."))),
    "a Git LFS pointer": ("file.header", file(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")),
    "weights in parts": ("file.missing", move(WEIGHTS, "adapter_model-00001-of-00001.safetensors")),
    "tokens to train that are not here": ("fit.missing", config(trainable_token_indices={"word_embeddings": [5, 6]})),
    "biases that are not here": ("fit.missing", config(lora_bias=True)),
    "LoRA called IA3": ("tensors.unused", config(peft_type="IA3", feedforward_modules=[])),
    "LoRA called a prompt": ("tensors.unused", config(peft_type="PROMPT_TUNING", num_virtual_tokens=4)),
    "a layer norm of the base": ("tensors.replaces-base", extra(f"{LAYER}.0.attention.output.LayerNorm.weight", np.ones(32))),
    "the pooler of the base": ("tensors.replaces-base", extra(f"{BERT}.pooler.dense.weight")),
    "positions of the base": ("tensors.replaces-base", extra(f"{BERT}.embeddings.position_embeddings.weight", np.ones((128, 32)))),
    "a bias of the base": ("tensors.replaces-base", extra(f"{LAYER}.1.output.dense.bias", np.ones(32))),
    "a target's own weight": ("tensors.replaces-base", extra(f"{QUERY}.weight")),
    "a target's own weight, wrapped": ("tensors.replaces-base", extra(f"{QUERY}.base_layer.weight")),
    "embeddings that are not the base's": ("tensors.replaces-base", extra(f"{BERT}.embeddings.word_embeddings.weight", np.ones((96, 32)))),
    "a buffer of the base": ("tensors.replaces-base", extra(f"{BERT}.embeddings.position_ids", np.zeros((1, 128)))),
    "twenty thousand tensors": ("file.header", tensors(lambda t: t | {f"base_model.model.a{n}": ("F32", (1,), bytes(4)) for n in range(20_000)})),
}  # fmt: skip
FILES: dict[str, tuple[str, Change]] = {
    "no weights": ("file.missing", drop(WEIGHTS)),
    "no config": ("config.missing", drop(CONFIG)),
    "weights under another name": ("file.missing", move(WEIGHTS, "pytorch_lora.safetensors")),
    "an index of shards": ("file.ambiguous", file("adapter_model.safetensors.index.json", "{}")),
    "a shard beside it": ("file.ambiguous", file("adapter_model-00001-of-00002.safetensors", b"x")),
    "a token beyond the vocabulary": ("base.vocabulary", file("added_tokens.json", '{"<x>": 400}')),
}  # fmt: skip
# What only a measurement tells: files and shapes are those of a sound adapter.
MEASURED: dict[str, tuple[str, str, Change]] = {
    "labels the wrong way round": ("bert-seq-cls", "eval.worse-than-base", each(lambda a: a[::-1], "classifier.weight", "classifier.bias")),
    "an alpha a thousand times too large": ("bert-seq-cls", "eval.claim", all_of(claims(1.0), config(lora_alpha=-8000))),
    "a claim nobody reaches": ("bert-seq-cls", "eval.claim", all_of(claims(0.99), mislabelled)),
}  # fmt: skip


def of_llama(bases: Path) -> dict[str, tuple[str, Change]]:
    embed, head = f"{LLAMA}.embed_tokens.weight", "base_model.model.lm_head.weight"
    table = of_base(bases, "llama", "model.embed_tokens.weight")
    one_row = table.copy()
    one_row[7, 3] += 0.5
    return {
        "one number of the embeddings changed": ("tensors.replaces-base", extra(embed, one_row)),
        "an output of its own": ("tensors.replaces-base", extra(head, np.ones((96, 32)))),
        "a norm of the base": ("tensors.replaces-base", extra(f"{LLAMA}.norm.weight", np.ones(32))),
        "a projection nobody targets": ("tensors.replaces-base", all_of(
            config(target_modules=["q_proj", "v_proj"]), without(lambda name: "lora_" in name and not any(x in name for x in ("q_proj", "v_proj"))),
            extra(f"{LLAMA}.layers.0.self_attn.o_proj.weight"),
        )),
        "embeddings of another width": ("fit.shape", extra(embed, np.ones((100, 16)))),
        "rows of the base changed under new ones": ("load.changed-base", extra(embed, np.concatenate([one_row, table[:4]]))),
        "a third of the modules": ("fit.missing", without(lambda name: "layers.1.mlp" in name)),
        "inputs and outputs of k_proj exchanged": ("fit.shape", tensors(lambda t: {n: (tensor(np.tile(values(e), (2, 1))) if "k_proj.lora_B" in n else e) for n, e in t.items()})),
        "a task of another model": ("eval.random-head", config(task_type="SEQ_CLS")),
    }  # fmt: skip


OF_OTHERS: dict[str, tuple[str, str, Change]] = {
    "a prompt of another length": ("prompt-llama-causal-lm", "config.rank", config(num_virtual_tokens=4)),
    "a prompt of another width": ("prompt-llama-causal-lm", "fit.shape", each(lambda a: a[:, :16], "prompt_embeddings")),
    "a prompt without end": ("prompt-llama-causal-lm", "config.rank", config(num_virtual_tokens=10**6)),
    "a prompt of nothing": ("prompt-llama-causal-lm", "config.rank", config(num_virtual_tokens=0)),
    "a prompt under another name": ("prompt-llama-causal-lm", "tensors.unused", renamed(lambda _: "embeddings")),
    "a prompt of zeros": ("prompt-llama-causal-lm", "tensors.all-zero", each(lambda a: a * 0)),
    "a prompt with NaN": ("prompt-llama-causal-lm", "tensors.not-finite", each(put(float("nan")))),
    "a tokenizer from a path": ("prompt-llama-causal-lm", "config.fetch", config(tokenizer_name_or_path="/etc/passwd")),
    "a prefix of another base": ("prefix-llama-causal-lm", "fit.shape", each(lambda a: np.tile(a, 2), "prompt_embeddings")),
    "a prefix called a prompt": ("prefix-llama-causal-lm", "fit.shape", config(peft_type="PROMPT_TUNING")),
    "IA3 the other way round": ("bert-ia3", "fit.shape", each(lambda a: a.T, "ia3_l")),
    "IA3 with other feedforwards": ("bert-ia3", "fit.shape", config(feedforward_modules=["key"])),
    "IA3 with half of its layers": ("bert-ia3", "fit.missing", without(lambda name: ".layer.0." in name and "ia3" in name)),
    "IA3 of ones": ("bert-ia3", "run.no-effect", each(lambda a: a * 0 + 1, "ia3_l")),
    "DoRA that forgot it": ("bert-dora", "tensors.pair", config(use_dora=False)),
    "DoRA with magnitudes of another base": ("bert-dora", "fit.shape", each(lambda a: np.tile(a, 2), "lora_magnitude_vector")),
    "GPT-2 transposed": ("gpt2-causal", "fit.shape", tensors(lambda t: {n: (tensor(np.tile(values(e), (1, 3))) if "lora_A" in n else tensor(values(e)[:32])) for n, e in t.items()})),
    "tokens beyond the vocabulary": ("llama-tokens", "base.vocabulary", config(trainable_token_indices=[7, 8, 9000])),
    "rsLoRA with its rank gone": ("bert-rslora", "config.rank", config(r=8)),
    "roberta under the name of bert": ("roberta-seq-cls@bert", "fit.missing", config(base_model_name_or_path="zoo/bert")),
    "GPT-2 under the name of llama": ("gpt2-causal@llama", "fit.unexpected", config(base_model_name_or_path="zoo/llama")),
    "llama under the name of qwen3": ("llama-seven@qwen3", "fit.shape", config(base_model_name_or_path="zoo/qwen3")),
    "llama under the name of GPT-2": ("llama-causal@gpt2", "fit.unexpected", config(base_model_name_or_path="zoo/gpt2")),
}  # fmt: skip


def every(bases: Path) -> list[tuple[str, str, str, Change]]:
    """As name, the made adapter it spoils (with @base where it is tried on another), the check, the change."""
    bert = "bert-seq-cls"
    found = [(name, bert, "file.header", change) for name, change in HEADERS.items()]
    found += [(name, bert, "file.pickle", change) for name, change in PICKLES.items()]
    found += [
        (name, bert, check, change) for table in (CONFIGS, TENSORS, FILES) for name, (check, change) in table.items()
    ]
    found += [(name, "llama-seven", check, change) for name, (check, change) in of_llama(bases).items()]
    found += [(name, source, check, change) for name, (source, check, change) in {**MEASURED, **OF_OTHERS}.items()]
    return [(f"saboteur: {name}", source, check, change) for name, source, check, change in found]
