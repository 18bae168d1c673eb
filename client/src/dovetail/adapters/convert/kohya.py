"""kohya's LoRA: one safetensors file with lora_down, lora_up and alpha of each module."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping

from dovetail.adapters import lazy, values
from dovetail.adapters.convert import kohya_names
from dovetail.adapters.convert.lora import TEXT_ENCODER_2, Lora, Module, alpha_of, config_of, module_of, require_plain
from dovetail.adapters.convert.peft import Writer
from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.lazy import Lazies, Lazy

FILE = "pytorch_lora_weights.kohya.safetensors"
SIDES = {"lora_down.weight": "down", "lora_up.weight": "up"}


def read(tensors: Lazies, base: str) -> list[Lora]:
    """Return a LoRA for each model that the file adapts."""
    parts: dict[str, dict[str, Lazy]] = defaultdict(dict)
    for name, tensor in tensors.items():
        module, _, part = name.partition(".")
        if part not in (*SIDES, "alpha"):
            raise Unconvertible(f"{part} is no part of a plain LoRA.", module)
        parts[module][part] = tensor
    modules: dict[str, dict[str, Module]] = defaultdict(dict)
    for name, sides in sorted(parts.items()):
        component, path = kohya_names.split(name)
        modules[component][path] = _module(name, sides)
    return [
        Lora(config_of(placed, base, component), placed, component) for component, placed in sorted(modules.items())
    ]


def write(loras: list[Lora]) -> dict[str, Writer]:
    """Return the file by name. Raises `Unconvertible` for DoRA, and for modules that kohya has no name for."""
    is_one_of_two = any(lora.component == TEXT_ENCODER_2 for lora in loras)
    tensors: Lazies = {}
    for lora in loras:
        require_plain(lora, "kohya")
        for path, module in lora.modules.items():
            name = kohya_names.join(path, lora.component, is_one_of_two=is_one_of_two)
            tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = module.down, module.up
            tensors[f"{name}.alpha"] = lazy.scalar(single_alpha(module, path))
    metadata = {"ss_network_module": "networks.lora", "ss_network_dim": _dim(loras), "ss_network_alpha": "Dynamic"}
    return {FILE: lambda target: lazy.write(tensors, target, metadata)}


def single_alpha(module: Module, path: str) -> float:
    """Return the alpha, which the formats of one file hold in 32 bits. Raises `Unconvertible` if that rounds it."""
    alpha = alpha_of(module, path)
    if struct.unpack("<f", values.single(alpha))[0] != alpha:
        raise Unconvertible(f"its scale {module.scale!r} needs the alpha {alpha!r}, which 32 bits do not hold.", path)
    return alpha


def _dim(loras: list[Lora]) -> str:
    ranks = {module.rank for lora in loras for module in lora.modules.values()}
    return str(ranks.pop()) if len(ranks) == 1 else "Dynamic"


def _module(name: str, parts: Mapping[str, Lazy]) -> Module:
    sides = {SIDES[part]: tensor for part, tensor in parts.items() if part in SIDES}
    module = module_of(name, sides, 1.0)
    if "alpha" not in parts:
        return module  # kohya then scales by 1
    alpha = parts["alpha"]
    if alpha.dtype not in values.FLOATS or alpha.size > 4:
        raise Unconvertible("its alpha is no single number.", name)
    number = float(values.widened(alpha.raw(), alpha.dtype)[0])
    return Module(module.down, module.up, number / module.rank)
