"""Writes a LoRA as a GGUF adapter, in the names and the row order of llama.cpp; `gguf` reads such files.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from dovetail.adapters.convert.kohya import single_alpha
from dovetail.adapters.convert.lora import Lazies, Lazy, Lora, Module, Unconvertible, require_plain, same_for_all
from dovetail.adapters.convert.peft import Writer
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.gguf import ALIGNMENT, DTYPES, MAGIC
from dovetail.adapters.shapes.parts import GGML

FILE = "adapter.gguf"
VERSION = 3
ARCHITECTURES = {  # model_type of the base → the name in llama.cpp
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
}
INTERLEAVED = ("llama",)  # llama.cpp keeps the rows of q and k in the order of Meta's rotary embedding
FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}
TYPES = {dtype: number for number, dtype in DTYPES.items() if dtype in FILE_TYPES}
NAMES = {path: name for name, path in GGML.items()}
LAYER = re.compile(r"(?:model\.)?layers\.(\d+)\.(.+)")
UINT32, FLOAT32, STRING = 4, 6, 8


@dataclass(frozen=True, slots=True)
class Base:
    """The facts that llama.cpp's form depends on, from the config.json of the base."""

    architecture: str
    heads: int
    key_heads: int
    is_tied: bool


def base_of(config: Config) -> Base:
    """Raises `Unconvertible` for a model whose names in llama.cpp are not known here."""
    model_type = configs.text(config, "model_type") or "no model_type"
    if model_type not in ARCHITECTURES:
        raise Unconvertible(
            f"The base is of type {model_type}; GGUF adapters can be written for {', '.join(ARCHITECTURES)}."
        )
    heads = configs.whole(config, "num_attention_heads") or 0
    key_heads = configs.whole(config, "num_key_value_heads") or heads
    return Base(ARCHITECTURES[model_type], heads, key_heads, config.get("tie_word_embeddings") is True)


def write(lora: Lora, base: Base) -> dict[str, Writer]:
    """Return the file by name. Raises `Unconvertible` for what llama.cpp would drop or scale otherwise."""
    require_plain(lora, "GGUF")
    alphas = {path: single_alpha(module, path) for path, module in lora.modules.items()}
    alpha = same_for_all(lora, alphas, "alpha", "GGUF")
    if not alpha:
        raise Unconvertible("Its alpha is 0, which llama.cpp reads as no alpha at all.")
    tensors: Lazies = {}
    for path, module in lora.modules.items():
        name = _name(path, base)
        tensors[f"{name}.weight.lora_a"], tensors[f"{name}.weight.lora_b"] = _matrices(path, module, base)
    dtypes = {tensor.dtype for tensor in tensors.values()}
    facts: dict[str, object] = {
        "general.architecture": base.architecture,
        "general.type": "adapter",
        "general.file_type": FILE_TYPES[dtypes.pop()] if len(dtypes) == 1 else 0,
        "general.quantization_version": 2,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    return {FILE: lambda target: write_file(facts, tensors, target)}


def write_file(facts: Mapping[str, Any], tensors: Mapping[str, Lazy], target: BinaryIO) -> None:
    """Write facts and tensors, each tensor at a multiple of the alignment."""
    head = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(facts))]
    head += [_text(key) + _value(value) for key, value in facts.items()]
    at = 0
    for name, tensor in tensors.items():
        shape = tuple(reversed(tensor.shape))
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TYPES[tensor.dtype], at))
        at += _padded(tensor.size)
    raw = b"".join(head)
    target.write(raw + bytes(_padded(len(raw)) - len(raw)))
    for tensor in tensors.values():
        size = sum(map(target.write, tensor.blocks()))
        target.write(bytes(_padded(size) - size))


def _name(path: str, base: Base) -> str:
    if path == "lm_head":
        if base.is_tied:
            raise Unconvertible("the base has one table for input and output, so llama.cpp has no place for it.", path)
        return "output"
    match = LAYER.fullmatch(path)
    if match is None or match[2] not in NAMES:
        raise Unconvertible(f"llama.cpp has no name for it in a model of type {base.architecture}.", path)
    return f"blk.{int(match[1])}.{NAMES[match[2]]}"


def _matrices(path: str, module: Module, base: Base) -> tuple[Lazy, Lazy]:
    for tensor in (module.down, module.up):
        if tensor.dtype not in TYPES or len(tensor.shape) != 2:
            raise Unconvertible(f"a GGUF adapter has matrices of floats, not {tensor.dtype} {tensor.shape}.", path)
    heads = {"q_proj": base.heads, "k_proj": base.key_heads}.get(path.rpartition(".")[2], 0)
    if not heads or base.architecture not in INTERLEAVED:
        return module.down, module.up
    rows = module.up.shape[0]
    if rows % (2 * heads):
        raise Unconvertible(f"its {rows} rows cannot be split into pairs in {heads} heads.", path)
    return module.down, module.up.with_rows(lambda: _interleaved(rows, heads))


def _interleaved(rows: int, heads: int) -> list[int]:
    """Return the order of rows in which the two halves of each head alternate."""
    half = rows // heads // 2
    return [head * 2 * half + side * half + row for head in range(heads) for row in range(half) for side in range(2)]


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: str | int | float) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    return struct.pack("<II", UINT32, value)
