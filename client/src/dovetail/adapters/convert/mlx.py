"""mlx-lm's LoRA: adapters.safetensors with both matrices transposed, and a config with one rank and one scale."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

from dovetail.adapters.convert.lora import (
    Lazies,
    Lazy,
    Lora,
    Module,
    Unconvertible,
    config_of,
    module_of,
    require_headless,
    same_for_all,
    write_lazily,
)
from dovetail.adapters.convert.peft import Writer, json_writer
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import Config
from dovetail.adapters.shapes.parts import HEAD_OF_MLX, OF_MLX, OF_TRANSFORMERS, without_mlx

FILE = "adapters.safetensors"
SIDES = {"lora_a": "down", "lora_b": "up"}
LAYER = re.compile(r"(.+?\.\d+)\.(.+)")
EVERY_LAYER = -1


def read(tensors: Lazies, config: Config, base: str) -> Lora:
    """Return the LoRA. Raises `Unconvertible` for whole weights, and without rank and scale."""
    parameters = config.get("lora_parameters")
    scale = configs.number(parameters, "scale") if isinstance(parameters, dict) else None
    if scale is None or not isinstance(parameters, dict):
        raise Unconvertible("lora_parameters in its config has no scale.")
    parts: dict[str, dict[str, Lazy]] = defaultdict(dict)
    for name, tensor in tensors.items():
        path, _, part = name.rpartition(".")
        if part not in (*SIDES, "m") or len(tensor.shape) != (1 if part == "m" else 2):
            raise Unconvertible("it is not a matrix of a LoRA or a magnitude of a DoRA.", name)
        parts[without_mlx(path)]["magnitude" if part == "m" else SIDES[part]] = (
            tensor if part == "m" else tensor.transposed()
        )
    modules = {path: _module(path, sides, scale) for path, sides in sorted(parts.items())}
    dropout = configs.number(parameters, "dropout") or 0.0
    named = base or configs.text(config, "model") or ""
    return Lora(config_of(modules, named, lora_dropout=dropout, task_type="CAUSAL_LM"), modules)


def write(lora: Lora) -> dict[str, Writer]:
    """Return the two files by name. Raises `Unconvertible` where modules have unlike ranks or scales."""
    require_headless(lora, "MLX")
    ranks = {path: module.rank for path, module in lora.modules.items()}
    rank = same_for_all(lora, ranks, "rank", "mlx-lm")
    scale = same_for_all(lora, {path: module.scale for path, module in lora.modules.items()}, "scale", "mlx-lm")
    tensors: Lazies = {}
    modules = {_of_mlx(path, lora.modules): module for path, module in lora.modules.items()}
    for path, module in modules.items():
        if len(module.down.shape) != 2:
            raise Unconvertible("it is a convolution, for which mlx-lm has no LoRA.", path)
        tensors[f"{path}.lora_a"], tensors[f"{path}.lora_b"] = module.down.transposed(), module.up.transposed()
        if module.magnitude:
            tensors[f"{path}.m"] = module.magnitude
    config = {
        "fine_tune_type": "dora" if lora.is_dora else "lora",
        "num_layers": EVERY_LAYER,
        "lora_parameters": {
            "rank": int(rank),
            "scale": scale,
            "dropout": configs.number(lora.config, "lora_dropout") or 0.0,
            "keys": _keys(modules),
        },
        "model": configs.text(lora.config, "base_model_name_or_path") or "",
    }
    return {configs.NAME: json_writer(config), FILE: lambda target: write_lazily(tensors, target)}


def _of_mlx(path: str, others: Collection[str]) -> str:
    """Return the path that mlx-lm has for a module of PEFT's."""
    if path.startswith(OF_TRANSFORMERS):
        return OF_MLX + path.removeprefix(OF_TRANSFORMERS)
    is_wrapped = path == "lm_head" and any(other.startswith(OF_TRANSFORMERS) for other in others)
    return HEAD_OF_MLX if is_wrapped else path


def _keys(modules: Mapping[str, Module]) -> list[str]:
    """Return the names within a layer if all layers have the same; else whole paths, which mlx-lm takes as well."""
    layers: dict[str, set[str]] = defaultdict(set)
    for path in modules:
        if not (match := LAYER.fullmatch(path)):
            return sorted(modules)
        layers[match[1]].add(match[2])
    kinds = {frozenset(names) for names in layers.values()}
    is_regular = len(kinds) == 1 and {int(layer.rpartition(".")[2]) for layer in layers} == set(range(len(layers)))
    return sorted(kinds.pop()) if is_regular else sorted(modules)


def _module(path: str, sides: dict[str, Lazy], scale: float) -> Module:
    magnitude = sides.pop("magnitude", None)
    return module_of(path, sides, scale, magnitude)
