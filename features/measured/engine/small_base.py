"""A base made small from its config, with random weights.

Layers, widths and the vocabulary shrink; the architecture, the names of modules and the kinds of layers stay. So an
engine does with the names and numbers of an adapter what it does at the real size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from features.measured.engine import Unmeasurable

VOCABULARY, MAX_LAYERS = 320, 8
# In an attribute of a config → its small value; head_dim and the layers are chosen below.
TEXT = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "vocab_size": VOCABULARY,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64,
}
VISION = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_heads": 2,
    "depth": 2,
    "out_hidden_size": 128,
    "image_size": 56,
    "patch_size": 14,
    "embed_dim": 64,
    "num_position_embeddings": 16,
}
HEAD_DIM = 32  # the least that every engine computes
LISTS = {"deepstack_visual_indexes": [0], "fullatt_block_indexes": [0]}
TIED = 0.05  # larger, a table for input and output would let every token predict itself
SEEN = ("vision", "visual", "audio", "image")  # in the paths of modules that a prompt of text does not reach
SEED = 4


def text_of(config: Mapping[str, Any]) -> Any:
    """Return the text part of a base's config, as transformers reads it. Raises Unmeasurable."""
    return _read(config).get_text_config()


def _class(config: Mapping[str, Any]) -> Any:
    names = config.get("architectures") or [""]
    cls = getattr(transformers, str(names[0]), None)
    if cls is None or not hasattr(cls, "config_class"):
        raise Unmeasurable(f"transformers {transformers.__version__} has no class {names[0]}.")
    return cls


def _read(config: Mapping[str, Any]) -> Any:
    kept = {key: value for key, value in config.items() if key not in ("quantization_config", "auto_map")}
    return _class(config).config_class.from_dict(kept)


def model_of(config: Mapping[str, Any]) -> Any:
    """Return the model of a config made small, with random weights in float32."""
    small = _read(config)
    text = small.get_text_config()
    _shrink_text(text)
    if small is not text:
        _shrink_vision(small, int(text.hidden_size))
    _renumber_tokens(small, text)
    small.dtype = text.dtype = torch.float32
    small._attn_implementation = "eager"  # the only one that computes every model as it was trained
    torch.manual_seed(SEED)
    with torch.no_grad():
        model = _class(config)(small).eval()
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and not is_seen(name):
                weights.normal_(0, 1 / math.sqrt(weights.shape[-1]))
        table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        head.normal_(0, 0.5)
        table.normal_(0, TIED if table is head else 0.5)
    return model


def _shrink_text(text: Any) -> None:
    layers, real = _layers(text), int(text.num_hidden_layers)
    key_heads, heads = int(getattr(text, "num_key_value_heads", 0) or 0), int(text.num_attention_heads)
    for key, value in list(vars(text).items()):
        if isinstance(value, list) and len(value) == real and real > 1:
            setattr(text, key, value[:layers])
    for key, value in TEXT.items():
        if getattr(text, key, None):
            setattr(text, key, value)
    text.num_hidden_layers = layers
    for key in ("head_dim", "query_pre_attn_scalar"):
        if getattr(text, key, None):
            setattr(text, key, HEAD_DIM)
    if key_heads:
        text.num_key_value_heads = 1 if key_heads == 1 else 4 if key_heads == heads else 2
    rope = getattr(text, "rope_parameters", None) or {}
    if "vl" in text.model_type:
        rope.setdefault("mrope_section", [16, 24, 24])
    _shrink_rope(rope)


def _layers(text: Any) -> int:
    """Return how many layers show every kind of layer."""
    kinds, real = list(getattr(text, "layer_types", None) or ()), int(text.num_hidden_layers)
    first = max((kinds.index(kind) for kind in kinds), default=0)
    return min(max(2, first + 1), MAX_LAYERS, real)


def _shrink_rope(rope: MutableMapping[str, Any]) -> None:
    for key, value in rope.items():
        if isinstance(value, dict):
            _shrink_rope(value)
        elif key == "mrope_section" and isinstance(value, list):
            total = sum(value)
            parts = [HEAD_DIM // 2 * part // total for part in value]
            rope[key] = [HEAD_DIM // 2 - sum(parts[1:]), *parts[1:]]
        elif isinstance(value, list) and key.endswith("_factor"):
            rope[key] = value[: HEAD_DIM // 2]


def _shrink_vision(config: Any, width: int) -> None:
    for name in ("vision_config", "audio_config"):
        part = getattr(config, name, None)
        for key, value in {**VISION, **LISTS, "out_hidden_size": width}.items() if part is not None else ():
            if getattr(part, key, None):
                setattr(part, key, value)
    if getattr(config, "mm_tokens_per_image", None):
        config.mm_tokens_per_image = 4


def _renumber_tokens(config: Any, text: Any) -> None:
    for part in (config, text):
        for at, key in enumerate(sorted(key for key in vars(part) if key.endswith(("_token_id", "_token_index")))):
            if getattr(part, key) is not None:
                setattr(part, key, VOCABULARY - 20 + at)


def write_model(model: Any, folder: Path) -> None:
    """Write a small base as its publishers do, with a tokenizer."""
    model.save_pretrained(folder)
    write_tokenizer(folder)
    _write_theta(folder / "config.json")


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer with a word for each token, for programs that look for one."""
    words = {f"w{number}": number for number in range(VOCABULARY)}
    inner = Tokenizer(WordLevel(words))
    inner.pre_tokenizer = WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(folder)


def _write_theta(file: Path) -> None:
    """Write the period of rotary embeddings where transformers had it before release 5, and other programs look."""
    config = json.loads(file.read_text())
    for part in (config, config.get("text_config") or {}):
        if "rope_theta" in (rope := part.get("rope_parameters") or {}):
            part.setdefault("rope_theta", rope["rope_theta"])
    file.write_text(json.dumps(config))


def is_seen(name: str) -> bool:
    """Return whether a name is of a part that sees or hears."""
    return any(part in name for part in SEEN)
