"""diffusers' LoRA: one safetensors file for the models of a pipeline, with PEFT's config of each in its metadata."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping

from dovetail.adapters import lazy, values
from dovetail.adapters.config import Config
from dovetail.adapters.convert.lora import Lora, Module, config_of, module_of
from dovetail.adapters.convert.peft import Scales, Writer
from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.lazy import Lazies, Lazy
from dovetail.adapters.parts import DOWN, PARTS, UP

FILE, METADATA = "pytorch_lora_weights.safetensors", "lora_adapter_metadata"
COMPONENT = re.compile(r"(unet|transformer|text_encoder(?:_[23])?)\.(.+)")
CARRIED = (
    "peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "r",
    "lora_alpha", "lora_dropout", "bias", "use_rslora", "use_dora", "target_modules", "exclude_modules",
    "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "fan_in_fan_out", "init_lora_weights",
)  # fmt: skip


def read(tensors: Lazies, metadata: Mapping[str, str], base: str) -> list[Lora]:
    """Return a LoRA for each model that the file adapts."""
    configs = _configs(metadata)
    parts: dict[str, dict[str, dict[str, Lazy]]] = defaultdict(lambda: defaultdict(dict))
    for name, tensor in tensors.items():
        place = COMPONENT.fullmatch(name)
        match = PARTS["diffusers"].fullmatch(place[2]) if place else None
        if place is None or match is None:
            raise Unconvertible("it is no part of a LoRA in diffusers' names.", name)
        parts[place[1]][match[1]][match[2]] = tensor
    return [_lora(component, named, configs.get(component), base) for component, named in sorted(parts.items())]


def write(loras: list[Lora]) -> dict[str, Writer]:
    """Return the file by name. Raises `Unconvertible` for the adapter of a model that is in no pipeline."""
    tensors: Lazies = {}
    stated: dict[str, object] = {}
    for lora in loras:
        if not lora.component:
            path = next(iter(lora.modules))
            raise Unconvertible("it is a module of no UNet, transformer or text encoder of diffusers.", path)
        stated |= {f"{lora.component}.{key}": lora.config[key] for key in CARRIED if key in lora.config}
        for path, module in lora.modules.items():
            name = f"{lora.component}.{path}"
            tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = module.down, module.up
            if module.magnitude:
                tensors[f"{name}.lora_magnitude_vector"] = module.magnitude
    metadata = {METADATA: json.dumps(stated, sort_keys=True)}
    return {FILE: lambda target: lazy.write(tensors, target, metadata)}


def _lora(component: str, named: Mapping[str, Mapping[str, Lazy]], stated: Config | None, base: str) -> Lora:
    scales = None if stated is None else Scales(stated)
    modules = {path: _module(path, sides, scales) for path, sides in sorted(named.items())}
    if stated is None:
        return Lora(config_of(modules, base, component), modules, component)
    config = {**config_of(modules, base, component), **stated}
    return Lora(config, modules, component)


def _module(path: str, parts: Mapping[str, Lazy], scales: Scales | None) -> Module:
    sides: dict[str, Lazy] = {}
    magnitude, alpha = None, None
    for part, tensor in parts.items():
        if DOWN.fullmatch(part) or part == "lora_A.default.weight":
            sides["down"] = tensor
        elif UP.fullmatch(part) or part == "lora_B.default.weight":
            sides["up"] = tensor
        elif part.startswith("lora_magnitude_vector"):
            magnitude = tensor
        elif part.endswith("alpha") and tensor.dtype in values.FLOATS and tensor.size <= 4:
            alpha = float(values.widened(tensor.raw(), tensor.dtype)[0])
        else:
            raise Unconvertible(f"{part} is no part of a plain LoRA.", path)
    module = module_of(path, sides, 1.0, magnitude)
    scale = scales.scale(path) if scales else (module.rank if alpha is None else alpha) / module.rank
    return Module(module.down, module.up, scale, magnitude)


def _configs(metadata: Mapping[str, str]) -> dict[str, Config]:
    """Return component → PEFT's config, from the metadata of the file; {} if it has none."""
    configs: dict[str, Config] = defaultdict(dict)
    try:
        document = json.loads(metadata.get(METADATA, "{}"))
    except (ValueError, RecursionError) as problem:
        raise Unconvertible(f"{METADATA} in the file is not JSON.") from problem
    for key, value in document.items() if isinstance(document, dict) else ():
        match = COMPONENT.fullmatch(key)
        if match is None:
            raise Unconvertible(f"{METADATA} in the file has an odd {key[:80]}.")
        configs[match[1]][match[2]] = value
    return dict(configs)
