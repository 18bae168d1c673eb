"""Builders of real, tiny adapters, and saboteurs that spoil one in exactly one way; neither needs torch.

A repository is a dict of bytes by path. `lora()` and its kin make one that passes on the base it names; a saboteur
takes one and gives back a spoilt copy; `SABOTEURS` says which check must refuse it. `write()` puts it on disk.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Files = dict[str, bytes]
Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]

CONFIG, WEIGHTS, CARD, SMOKE = "adapter_config.json", "adapter_model.safetensors", "README.md", "smoke.jsonl"


# --- bases ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Shape:
    """Facts of a base for the builders: linear modules of a layer as (outputs, inputs), and the path of layers."""

    id: str
    layers: int
    width: int
    layer: str
    linear: Mapping[str, tuple[int, int]]
    prefix_width: int = 0
    prefix: str = ""  # what a model with a head puts before the backbone's paths

    def modules(self, names: tuple[str, ...], backbone: bool) -> dict[str, tuple[int, int]]:
        start = "" if backbone else self.prefix
        return {
            f"{start}{self.layer.format(number)}.{path}": size
            for number in range(self.layers)
            for path, size in self.linear.items()
            if path.rpartition(".")[2] in names
        }


def _bert(base_id: str, layers: int, width: int, inner: int) -> Shape:
    square = {f"attention.self.{name}": (width, width) for name in ("query", "key", "value")}
    dense = {
        "attention.output.dense": (width, width),
        "intermediate.dense": (inner, width),
        "output.dense": (width, inner),
    }
    return Shape(base_id, layers, width, "encoder.layer.{}", {**square, **dense}, prefix="bert.")


def _llama(base_id: str, layers: int, width: int, inner: int) -> Shape:
    attention = {f"self_attn.{name}_proj": (width, width) for name in "qkvo"}
    mlp = {"mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner)}
    return Shape(base_id, layers, width, "layers.{}", {**attention, **mlp}, layers * 2 * width, prefix="model.")


MINILM = _bert("sentence-transformers/all-MiniLM-L6-v2", layers=6, width=384, inner=1536)
TINY_BERT = _bert("tiny/bert", layers=2, width=32, inner=64)
TINY_LLAMA = _llama("tiny/llama", layers=2, width=32, inner=64)
TINY_T5 = Shape("tiny/t5", 2, 32, "decoder.block.{}", {f"layer.0.SelfAttention.{name}": (32, 32) for name in "qkvo"})


# --- honest adapters ------------------------------------------------------------------------------------------------
def lora(
    base: Shape = TINY_BERT, *, task: str | None = "SEQ_CLS", rank: int = 4, alpha: int = 8,
    targets: tuple[str, ...] = (), seed: int = 0, labels: int = 2, dora: bool = False,
    dtype: str = "F32", size: float = 0.2, **config: Any,
) -> Files:  # fmt: skip
    """A LoRA with random weights that are large enough to be felt."""
    targets = targets or (("query", "value") if base.prefix == "bert." else ("q_proj", "v_proj"))
    generator, tensors = np.random.default_rng(seed), {}
    for module, (outputs, inputs) in base.modules(targets, backbone=task in (None, "FEATURE_EXTRACTION")).items():
        name = f"base_model.model.{module}"
        tensors[f"{name}.lora_A.weight"] = generator.normal(0, size, (rank, inputs))
        tensors[f"{name}.lora_B.weight"] = generator.normal(0, size, (outputs, rank))
        if dora:
            tensors[f"{name}.lora_magnitude_vector"] = generator.uniform(0.5, 1.5, (outputs,))
    saved = {**tensors, **_head(base, task, labels, generator, "base_model.model.")}
    return _repository(
        base, task, {name: _tensor(values, dtype) for name, values in saved.items()},
        **{"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": list(targets), "use_dora": dora}
        | config,
    )  # fmt: skip


def ia3(base: Shape = TINY_BERT, *, task: str | None = "SEQ_CLS", seed: int = 0) -> Files:
    generator, is_bert = np.random.default_rng(seed), base.prefix == "bert."
    targets, inner = (
        (("key", "value", "output.dense"), "output.dense") if is_bert else (("k_proj", "down_proj"), "down_proj")
    )
    tensors = {}
    for module, (outputs, inputs) in base.modules(
        tuple(name.split(".")[-1] for name in targets), backbone=False
    ).items():
        if any(module.endswith(f".{name}") for name in targets):
            shape = (1, inputs) if module.endswith(inner) else (outputs, 1)
            tensors[f"base_model.model.{module}.ia3_l"] = generator.uniform(0.5, 1.5, shape)
    tensors |= _head(base, task, 2, generator, "base_model.model.")
    return _repository(
        base, task, {name: _tensor(values) for name, values in tensors.items()},
        peft_type="IA3", target_modules=list(targets), feedforward_modules=[inner],
    )  # fmt: skip


def prompt(kind: str, base: Shape = TINY_LLAMA, *, task: str = "CAUSAL_LM", tokens: int = 5, seed: int = 0) -> Files:
    """`kind` is PROMPT_TUNING, P_TUNING or PREFIX_TUNING."""
    generator = np.random.default_rng(seed)
    width = (base.prefix_width or base.layers * 2 * base.width) if kind == "PREFIX_TUNING" else base.width
    tensors = {"prompt_embeddings": generator.normal(0, 0.5, (tokens, width))}
    tensors |= _head(base, task, 2, generator, "base_model.")
    heads = {
        "num_attention_heads": 4,
        "num_layers": base.layers,
        "token_dim": base.width,
        "num_transformer_submodules": 1,
    }
    more = {"encoder_hidden_size": 32} if kind != "PROMPT_TUNING" else {}
    return _repository(
        base, task, {name: _tensor(values) for name, values in tensors.items()},
        peft_type=kind, num_virtual_tokens=tokens, **heads, **more,
    )  # fmt: skip


def write(files: Files, folder: Path) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def openers(files: Files) -> dict[str, Callable[[], io.BytesIO]]:
    """The form in which `dovetail.adapters` takes a repository."""
    return {path: (lambda data=data: io.BytesIO(data)) for path, data in files.items()}


def card(base: str = TINY_BERT.id, **more: Any) -> bytes:
    """A complete card; its front matter is JSON, which is YAML too."""
    facts = {
        "license": "apache-2.0",
        "base_model": base,
        "pipeline_tag": "text-classification",
        "library_name": "peft",
        **more,
    }
    return f"---\n{json.dumps(facts, indent=1)}\n---\n# A tiny adapter\n".encode()


def facts_of(files: Files) -> dict[str, Any]:
    """The front matter of a card that `card` made."""
    return json.loads(files[CARD].decode().split("---\n")[1]) if CARD in files else {}


def smoke(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _repository(base: Shape, task: str | None, tensors: Tensors, **config: Any) -> Files:
    saved = list(dict.fromkeys(name.split(".")[-2] for name in tensors if ".classifier." in name or ".score." in name))
    whole = {
        "base_model_name_or_path": base.id, "task_type": task, "inference_mode": True, "peft_version": "0.21.2",
        "revision": None, "modules_to_save": saved or None, **config,
    }  # fmt: skip
    return {CONFIG: json.dumps(whole, indent=2).encode(), WEIGHTS: pack(tensors), CARD: card(base.id)}


def _head(base: Shape, task: str | None, labels: int, generator: Any, prefix: str) -> dict[str, Any]:
    if task not in ("SEQ_CLS", "TOKEN_CLS"):
        return {}
    is_bert = base.prefix == "bert."
    name = prefix + ("classifier" if is_bert else "score")
    found = {f"{name}.weight": generator.normal(0, 0.5, (labels, base.width))}
    return found | ({f"{name}.bias": generator.normal(0, 0.1, (labels,))} if is_bert else {})


# --- safetensors by hand: a spoilt file must not need the help of a library that refuses to write it ------------------
def pack(tensors: Tensors, metadata: Mapping[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "pt"})}
    body = b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    return with_header(json.dumps(header).encode(), body)


def with_header(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def unpack(data: bytes) -> Tensors:
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: (e["dtype"], tuple(e["shape"]), body[e["data_offsets"][0] : e["data_offsets"][1]])
        for name, e in header.items()
    }


def _tensor(values: Any, dtype: str = "F32") -> tuple[str, tuple[int, ...], bytes]:
    wide = np.ascontiguousarray(values, dtype="<f4")
    if dtype == "BF16":
        raw = (wide.view("<u4") >> 16).astype("<u2").tobytes()
    else:
        raw = wide.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()
    return dtype, wide.shape, raw


# --- saboteurs ------------------------------------------------------------------------------------------------------
Saboteur = Callable[[Files], Files]


def config(**changes: Any) -> Saboteur:
    """Change keys of the config; `...` removes one."""

    def spoil(files: Files) -> Files:
        found = {**json.loads(files[CONFIG]), **changes}
        return {**files, CONFIG: json.dumps({key: value for key, value in found.items() if value is not ...}).encode()}

    return spoil


def raw_config(data: bytes) -> Saboteur:
    return lambda files: {**files, CONFIG: data}


def weights(change: Callable[[Tensors], Tensors]) -> Saboteur:
    return lambda files: {**files, WEIGHTS: pack(change(unpack(files[WEIGHTS])))}


def raw_weights(change: Callable[[bytes], bytes]) -> Saboteur:
    return lambda files: {**files, WEIGHTS: change(files[WEIGHTS])}


def without(*paths: str) -> Saboteur:
    return lambda files: {path: data for path, data in files.items() if path not in paths}


def with_file(path: str, data: bytes) -> Saboteur:
    return lambda files: {**files, path: data}


def _all_of(*parts: Saboteur) -> Saboteur:
    def spoil(files: Files) -> Files:
        for part in parts:
            files = part(files)
        return files

    return spoil


def _first(tensors: Tensors, end: str) -> str:
    return next(name for name in tensors if name.endswith(end))


def with_nan(value: float = float("nan"), end: str = "lora_B.weight") -> Saboteur:
    def spoil(tensors: Tensors) -> Tensors:
        name = _first(tensors, end)
        dtype, shape, raw = tensors[name]
        values = np.frombuffer(raw, "<f4").copy()
        values[len(values) // 2] = value
        return {**tensors, name: (dtype, shape, values.tobytes())}

    return weights(spoil)


def all_zero(end: str = "lora_B.weight") -> Saboteur:
    return weights(lambda t: {n: (d, s, bytes(len(raw)) if n.endswith(end) else raw) for n, (d, s, raw) in t.items()})


def unpaired() -> Saboteur:
    return weights(lambda t: {name: entry for name, entry in t.items() if name != _first(t, "lora_B.weight")})


def missing_layer(number: int = 1) -> Saboteur:
    return weights(lambda t: {name: entry for name, entry in t.items() if f".{number}." not in name})


def extra_layer(number: int = 9) -> Saboteur:
    return weights(lambda t: t | {n.replace(".1.", f".{number}."): entry for n, entry in t.items() if ".1." in n})


def extra_tensor(name: str, shape: tuple[int, ...] = (32, 32), value: float = 0.1) -> Saboteur:
    return weights(lambda t: {**t, name: _tensor(np.full(shape, value))})


def renamed(old: str, new: str) -> Saboteur:
    return weights(lambda t: {name.replace(old, new): entry for name, entry in t.items()})


def wrong_rank(rank: int = 16) -> Saboteur:
    return config(r=rank)


def wider(factor: int = 2) -> Saboteur:
    """Every lora_A as for a base of another width."""

    def spoil(tensors: Tensors) -> Tensors:
        return {
            name: (d, (s[0], s[1] * factor), raw * factor) if name.endswith("lora_A.weight") else (d, s, raw)
            for name, (d, s, raw) in tensors.items()
        }

    return weights(spoil)


def huge_header() -> Saboteur:
    return raw_weights(lambda data: struct.pack("<Q", 100 * 2**20) + data[8:])


def many_tensors(count: int = 25_000) -> Saboteur:
    return weights(lambda t: t | {f"base_model.model.junk.{n}": ("F32", (1,), bytes(4)) for n in range(count)})


def truncated() -> Saboteur:
    return raw_weights(lambda data: data[:-100])


class Payload:
    """The payload of a hostile pickle; the tests only write it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was executed",))


def hostile_pickle() -> bytes:
    return pickle.dumps(Payload())


def tensor_pickle(name: bytes = b"w", values: int = 4) -> bytes:
    """As torch.save writes a state dict: an archive whose pickle imports tensor functions only."""
    opcodes = (
        b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X"
        + struct.pack("<I", len(name))
        + name
        + b"q\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03"
        b"((X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07M"
        + struct.pack("<H", values)
        + b"tq\x08QK\x00K\x04\x85q\x09K\x01\x85q\x0a\x89h\x00)Rq\x0btq\x0cRq\x0ds."
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("adapter_model/data.pkl", opcodes)
        archive.writestr("adapter_model/data/0", bytes(16))
    return buffer.getvalue()


def with_pickle(path: str = "extra.bin") -> Saboteur:
    return with_file(path, hostile_pickle())


def pickled_only(data: bytes | None = None) -> Saboteur:
    return _all_of(without(WEIGHTS), with_file("adapter_model.bin", hostile_pickle() if data is None else data))


LAYER = "base_model.model.bert.encoder.layer.0"
QUERY = f"{LAYER}.attention.self.query"

# What must be refused, by which check alone, and by a LoRA for TINY_BERT made by `lora()` unless said otherwise.
SABOTEURS: dict[str, tuple[str, Saboteur]] = {
    "a hostile pickle beside the weights": ("file.pickle", with_pickle()),
    "a hostile pickle under an innocent name": ("file.pickle", with_file("notes.txt", hostile_pickle())),
    "hostile weights in a pickle": ("file.pickle", pickled_only()),
    "a pickle that cannot be read to its end": ("file.pickle", with_file("x.bin", hostile_pickle()[:-3])),
    "a pickle that says more than it holds": ("file.pickle", pickled_only(tensor_pickle(values=1024))),
    "no weights": ("file.missing", without(WEIGHTS)),
    "a sharded adapter": ("file.ambiguous", with_file("adapter_model-00002-of-00002.safetensors", b"x")),
    "a header bomb": ("file.header", huge_header()),
    "a file cut off": ("file.header", truncated()),
    "bytes behind the last tensor": ("file.header", raw_weights(lambda data: data + b"more")),
    "far too many tensors": ("file.header", many_tensors()),
    "an empty file": ("file.header", raw_weights(lambda _: b"")),
    "a header that is no JSON": ("file.header", raw_weights(lambda _: with_header(b"{never closed"))),
    "a header nested without end": ("file.header", raw_weights(lambda _: with_header(b'{"a":' + b"[" * 100_000))),
    "a tensor with a path for a name": ("file.header", extra_tensor("../../etc/passwd")),
    "no tensors": ("file.header", raw_weights(lambda _: pack({}))),
    "no config": ("config.missing", without(CONFIG)),
    "a config that is no JSON": ("config.invalid", raw_config(b"{r: 8}")),
    "a config with a key twice": ("config.invalid", raw_config(b'{"peft_type": "LORA", "r": 8, "r": 16}')),
    "a config with NaN": ("config.invalid", raw_config(b'{"peft_type": "LORA", "lora_alpha": NaN}')),
    "a config nested without end": ("config.invalid", raw_config(b'{"a":' * 50_000)),
    "a rank in words": ("config.invalid", config(r="eight")),
    "a rank in a list": ("config.invalid", config(r=[8])),
    "a method in a list": ("config.invalid", config(peft_type=["LORA"])),
    "an unknown method": ("config.kind", config(peft_type="TELEPATHY")),
    "a method that is not proven here": ("config.kind", config(peft_type="ADAMSS")),
    "a mixture of other adapters": ("config.fetch", config(peft_type="XLORA", adapters={"1": "evil/adapter"})),
    "a mixture that does not say of what": ("config.fetch", config(peft_type="XLORA")),
    "a variant that is not proven here": ("config.kind", config(use_qalora=True)),
    "a config of the adapters library": ("config.invalid", raw_config(b'{"config": {}, "model_class": "BertModel"}')),
    "a config of MLX with the tensors of PEFT": (
        "tensors.pair",
        _all_of(
            raw_config(b'{"fine_tune_type": "lora", "lora_parameters": {"rank": 8}}'),
            lambda files: {**files, "adapters.safetensors": files[WEIGHTS]},
        ),
    ),
    "code to import": ("config.code", config(megatron_config={"x": 1}, megatron_core="os")),
    "a foreign parent library": ("config.code", config(auto_mapping={"parent_library": "evil"})),
    "a file to open": ("config.fetch", config(prompt_tuning_init_state_dict_path="/etc/passwd")),
    "another model to fetch": ("config.fetch", config(peft_type="SHADOW", shadow_model="evil/model")),
    "pissa": ("config.changes-base", config(init_lora_weights="pissa")),
    "olora": ("config.changes-base", config(init_lora_weights="olora")),
    "replicated layers": ("config.changes-base", config(layer_replication=[[0, 2], [0, 2]])),
    "an endless rank": ("config.rank", config(r=2_000_000)),
    "a rank of nothing": ("config.rank", config(r=0)),
    "a rank of other weights": ("config.rank", wrong_rank()),
    "an endless pattern": ("config.pattern", config(target_modules="(a|a)*" * 80 + "query")),
    "thousands of patterns": ("config.pattern", config(rank_pattern={f"(a|b){n}.*x": 8 for n in range(3000)})),
    "hundreds of slow patterns": ("config.pattern", config(alpha_pattern={".*" * 20 + str(n): 8 for n in range(200)})),
    "a token before the first": ("config.invalid", config(trainable_token_indices=[3, -4])),
    "a pattern that looks behind": ("config.pattern", config(target_modules=r".*(?<=x)query")),
    "a broken pattern": ("config.pattern", config(target_modules="(((query")),
    "a pattern as a module to save": ("config.pattern", config(modules_to_save=["(a+)+", "classifier"])),
    "NaN": ("tensors.not-finite", with_nan()),
    "infinity": ("tensors.not-finite", with_nan(float("inf"))),
    "zero everywhere": ("tensors.all-zero", all_zero()),
    "half a pair": ("tensors.pair", unpaired()),
    "a magnitude without DoRA": ("tensors.pair", extra_tensor(f"{QUERY}.lora_magnitude_vector", (32,))),
    "DoRA without magnitudes": ("tensors.pair", config(use_dora=True)),
    "a target without tensors": ("tensors.targets", config(target_modules=["query", "value", "key"])),
    "tensors that are no target": ("tensors.targets", config(target_modules=["query"])),
    "the wrong prefix": ("tensors.unused", renamed("base_model.model.", "model.")),
    "parameters of another method": ("tensors.unused", extra_tensor(f"{QUERY}.hada_w1_a")),
    "a weight of the base": ("tensors.replaces-base", extra_tensor(f"{LAYER}.output.dense.weight", (32, 64))),
    "a weight under a target": ("tensors.replaces-base", extra_tensor(f"{QUERY}.base_layer.weight")),
    "a way to begin that nobody knows": ("config.invalid", config(init_lora_weights="quantum")),
    "a bias of another module": (
        "tensors.replaces-base",
        _all_of(config(bias="lora_only"), extra_tensor("base_model.model.bert.embeddings.LayerNorm.bias", (32,))),
    ),
    "no base": ("base.unnamed", config(base_model_name_or_path=None)),
    "a local path": ("base.local-path", config(base_model_name_or_path="/home/me/models/bert")),
    "a path on Windows": ("base.local-path", config(base_model_name_or_path="C:\\models\\bert")),
    "another base": ("base.mismatch", config(base_model_name_or_path="tiny/other")),
    "no head": ("eval.random-head", weights(lambda t: {n: e for n, e in t.items() if "classifier" not in n})),
    "a layer left out": ("fit.missing", missing_layer()),
    "layers the base does not have": ("fit.unexpected", extra_layer()),
    "weights for a wider base": ("fit.shape", wider()),
}  # fmt: skip
