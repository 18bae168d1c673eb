"""PEFT's LoRA: adapter_config.json beside adapter_model.safetensors."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import BinaryIO

from dovetail.adapters.convert import image_names
from dovetail.adapters.convert.lora import (
    CLASSES,
    TRANSFORMER,
    Lazies,
    Lazy,
    Lora,
    Module,
    Unconvertible,
    module_of,
    read_lazily,
    write_lazily,
)
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.methods.lora import LORA
from dovetail.adapters.shapes.layout import named
from dovetail.adapters.shapes.selection import PatternTable

CONFIG, WEIGHTS, PREFIX = configs.NAME, "adapter_model.safetensors", "base_model.model."
PARTS = re.compile(r"(.+)\.(lora_A\.weight|lora_B\.weight|lora_magnitude_vector)(?:\.weight)?")
WHOLE = re.compile(rf"{re.escape(PREFIX)}(?!.*lora_).+\.(?:weight|bias)")  # what was trained whole: heads, embeddings
SIDES = {"lora_A.weight": "down", "lora_B.weight": "up"}
OTHER_MODELS = {  # keys that make PEFT do more than add two matrices to a module of the unchanged base
    "layer_replication": "PEFT repeats layers of the base for it",
    "target_parameters": "it adapts single parameters, not modules",
    "trainable_token_indices": "it trains single rows of an embedding",
    "alora_invocation_tokens": "it acts only after certain tokens",
    "megatron_config": "it belongs to another implementation of its base",
}
NUMBERS = ("r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")
REPLACING = ("pissa", "olora", "corda", "loftq", "lora_ga")

Writer = Callable[[BinaryIO], None]


def read(files: Mapping[str, Opener]) -> Lora:
    """Return the LoRA in PEFT's two files. Raises `Unconvertible` for anything but a plain LoRA or DoRA."""
    config = read_config(files)
    _require_lora(config)
    parts: dict[str, dict[str, Lazy]] = defaultdict(dict)
    head: Lazies = {}
    for name, tensor in read_tensors(files).items():
        match = PARTS.fullmatch(name)
        if match is None and WHOLE.fullmatch(name):
            head[name.removeprefix(PREFIX)] = tensor
        elif match is None or not name.startswith(PREFIX):
            raise Unconvertible("it is not a matrix of a LoRA, and other formats have no place for it.", name)
        else:
            parts[match[1].removeprefix(PREFIX)][match[2]] = tensor
    scales = Scales(config)
    modules = {path: _module(path, sides, scales) for path, sides in sorted(parts.items())}
    if not modules:
        raise Unconvertible("It contains no LoRA.")
    return Lora(config, modules, component_of(config, modules), head)


def read_config(files: Mapping[str, Opener]) -> Config:
    if CONFIG not in files:
        raise Unconvertible(f"It has no {CONFIG}.")
    try:
        with files[CONFIG]() as file:
            return configs.read(file)
    except configs.ConfigError as problem:
        raise Unconvertible(f"{CONFIG} cannot be read: {problem}.") from problem


def read_tensors(files: Mapping[str, Opener], path: str = WEIGHTS) -> Lazies:
    """Return the tensors under the names that save_pretrained() writes. Raises `Unconvertible`."""
    if path not in files:
        raise Unconvertible(f"It has no {path}.")
    try:
        tensors = read_lazily(files[path])[0]
    except HeaderError as problem:
        raise Unconvertible(f"{path} cannot be read: {problem}.") from problem
    new = named(tensors)
    return {new.get(name, name): tensor for name, tensor in tensors.items()}


def write(lora: Lora) -> dict[str, Writer]:
    """Return the two files by name."""
    tensors: Lazies = {}
    for path, module in lora.modules.items():
        tensors[f"{PREFIX}{path}.lora_A.weight"] = module.down
        tensors[f"{PREFIX}{path}.lora_B.weight"] = module.up
        if module.magnitude:
            tensors[f"{PREFIX}{path}.lora_magnitude_vector"] = module.magnitude
    tensors |= {f"{PREFIX}{name}": tensor for name, tensor in lora.head.items()}
    return {CONFIG: json_writer(lora.config), WEIGHTS: lambda target: write_lazily(tensors, target)}


def json_writer(document: Mapping[str, object]) -> Writer:
    raw = f"{json.dumps(document, indent=2, sort_keys=True)}\n".encode()

    def write(target: BinaryIO) -> None:
        target.write(raw)

    return write


def component_of(config: Config, modules: Mapping[str, Module]) -> str:
    """Return the place in a pipeline of diffusers of the model that is adapted; "" if neither names nor config tell."""
    mapping = config.get("auto_mapping")
    class_name = str(mapping.get("base_model_class", "")) if isinstance(mapping, dict) else ""
    for component, (name, _) in CLASSES.items():
        if class_name == name:
            return component
    if "Transformer" in class_name and str(mapping).find("diffusers") >= 0:
        return TRANSFORMER
    return image_names.component_of(modules)


def _require_lora(config: Config) -> None:
    method = configs.text(config, "peft_type") or "no method"
    if method != LORA.peft_type:
        raise Unconvertible(f"It is {method}; only LoRA and DoRA can be converted to other formats.")
    for key, why in {**OTHER_MODELS, **{variant.key: variant.why for variant in LORA.unproven}}.items():
        if config.get(key):
            raise Unconvertible(f"{key} is set: {why}.")
    if (configs.text(config, "bias") or "none") != "none":
        raise Unconvertible("bias is set: it changes biases of the base.")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(REPLACING):
        raise Unconvertible(f"init_lora_weights is {start}: it belongs to a base that PEFT changes while it loads it.")


class Scales:
    """The rank that a config gives each module, and the factor by which PEFT multiplies the product of its matrices."""

    def __init__(self, config: Config) -> None:
        for key in NUMBERS:
            if config.get(key) is not None and not LORA.keys[key](config[key]):
                raise Unconvertible(f"{key} in its config has an invalid value.")
        numbers = LORA.numbers(config)
        self._rank, self._alpha = int(numbers["r"]), float(numbers["lora_alpha"])
        self._is_rooted, self.is_dora = bool(config.get("use_rslora")), bool(config.get("use_dora"))
        try:
            self._ranks, self._alphas = (
                PatternTable(config.get("rank_pattern")),
                PatternTable(config.get("alpha_pattern")),
            )
        except PatternError as problem:
            raise Unconvertible(f"A table of its config cannot be read: {problem}.") from problem

    def rank(self, path: str) -> int:
        return max(1, int(self._ranks.get(path, self._rank)))

    def scale(self, path: str) -> float:
        rank = self.rank(path)
        return float(self._alphas.get(path, self._alpha)) / (math.sqrt(rank) if self._is_rooted else rank)


def _module(path: str, sides: Mapping[str, Lazy], scales: Scales) -> Module:
    rank = scales.rank(path)
    matrices = {SIDES[part]: tensor for part, tensor in sides.items() if part in SIDES}
    module = module_of(path, matrices, scales.scale(path), sides.get("lora_magnitude_vector"))
    if module.rank != rank:
        raise Unconvertible(f"its matrices have rank {module.rank}, but its config says {rank}.", path)
    if bool(module.magnitude) != scales.is_dora:
        raise Unconvertible("use_dora contradicts its tensors.", path)
    return module
