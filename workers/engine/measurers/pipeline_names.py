"""The modules of a pipeline that the names in a LoRA's file mean, found without diffusers' own loader.

Of names of the original code only those are known that mean one module each: where it has one matrix for several of
diffusers, its loader alone can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers

from workers.engine.measurers import Unmeasurable
from workers.engine.measurers.pipelines import Pipeline

PART = re.compile(
    r"(?:(?P<down>[._](?:lora_A|lora_down|lora\.down|lora_linear_layer\.down)\.(?:default\.)?weight)"
    r"|(?P<up>[._](?:lora_B|lora_up|lora\.up|lora_linear_layer\.up)\.(?:default\.)?weight)"
    r"|(?P<alpha>\.alpha)|(?P<magnitude>\.lora_magnitude_vector(?:\.weight)?|\.dora_scale))$"
)
# The names that trainers give to the models, where they do not write those of the pipeline; "" is its denoiser.
FLAT = {"lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder", "lora_unet_": "",
        "lora_transformer_": ""}  # fmt: skip
DOTTED = ("diffusion_model.", "base_model.model.")
Home = tuple[str, str]  # the place of a model in the pipeline, and the path of a module in it


@dataclass(frozen=True, slots=True)
class Layer:
    """A module that the adapter changes: its model, its path there, and the names of its tensors in the file."""

    place: str
    path: str
    names: dict[str, str] = field(default_factory=dict)


def layers_of(names: Iterable[str], pipeline: Pipeline, models: Mapping[str, Any]) -> list[Layer]:
    """Return the modules that the tensors of a file belong to. Raises Unmeasurable."""
    paths = {place: {_flat(path): path for path, _ in model.named_modules()} for place, model in models.items()}
    layers: dict[Home, Layer] = {}
    for name, plain in _plain_names(names, models):
        part = PART.search(plain)
        if part is None or part.lastgroup is None:
            raise Unmeasurable(f"It brings {name}, which cannot be made small.")
        place, path = _split(plain[: part.start()], pipeline)
        flat = _flat(path)
        for pattern, replacement in pipeline.original:
            flat = re.sub(pattern, replacement, flat)
        if flat not in paths[place]:
            raise Unmeasurable(f"Only the converter of diffusers knows the modules that {name} is for.")
        home = (place, paths[place][flat])
        layers.setdefault(home, Layer(*home)).names[part.lastgroup] = name
    if not all({"down", "up"} <= layer.names.keys() for layer in layers.values()):
        raise Unmeasurable("A matrix of its pairs is missing.")
    return list(layers.values())


def _plain_names(names: Iterable[str], models: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names in the file, and the same with the blocks of a UNet numbered as diffusers does."""
    plain = {name: name for name in names}
    if "unet" in models:
        plain = _maybe_map_sgm_blocks_to_diffusers(plain, models["unet"].config)
    yield from ((name, numbered) for numbered, name in plain.items())


def _split(path: str, pipeline: Pipeline) -> Home:
    """Return the place of the model that a path in a file is for, and the rest of the path. Raises Unmeasurable."""
    prefixes = {f"{place}.": place for place in pipeline.models} | FLAT | dict.fromkeys(DOTTED, "")
    for prefix, place in prefixes.items():
        if path.startswith(prefix) and (place or pipeline.denoiser) in pipeline.models:
            return place or pipeline.denoiser, path.removeprefix(prefix)
    raise Unmeasurable(f"No model of the pipeline has a module {path}.")


def _flat(path: str) -> str:
    """Return a path as kohya writes it, without the level of text encoders that few releases of transformers have."""
    return path.replace(".", "_").removeprefix("text_model_")
