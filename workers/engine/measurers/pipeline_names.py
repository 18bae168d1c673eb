"""The modules of a pipeline that the names in a LoRA's file mean, found without diffusers' own loader.

Names that are no path in the model are those of its original code, whose modules the format library knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dovetail.adapters.convert import Unconvertible, image_names
from dovetail.adapters.convert.image_names import FLUX, FLUX2, WAN, Home
from workers.engine.measurers import Unmeasurable
from workers.engine.measurers.pipelines import Pipeline

LAYOUTS = {"Flux2LoraLoaderMixin": FLUX2, "WanLoraLoaderMixin": WAN}
PART = re.compile(
    r"(?:(?P<down>[._](?:lora_A|lora_down|lora\.down|lora_linear_layer\.down)\.(?:default\.)?weight)"
    r"|(?P<up>[._](?:lora_B|lora_up|lora\.up|lora_linear_layer\.up)\.(?:default\.)?weight)"
    r"|(?P<alpha>\.alpha)|(?P<magnitude>\.lora_magnitude_vector(?:\.weight)?|\.dora_scale))$"
)
# The names that trainers give to the models, where they do not write those of the pipeline; "" is its denoiser.
FLAT = {"lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder", "lora_unet_": "",
        "lora_transformer_": ""}  # fmt: skip
DOTTED = ("diffusion_model.", "base_model.model.")


@dataclass(frozen=True, slots=True)
class Layer:
    """A pair of the adapter: the modules that it changes, and the names of its tensors in the file.

    Several modules have one pair where the original code has one matrix for them; each gets its rows.
    """

    home: Home
    names: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The place of the model in the pipeline."""
        return self.home.component

    @property
    def paths(self) -> tuple[str, ...]:
        return self.home.paths


def layers_of(names: Iterable[str], pipeline: Pipeline, models: Mapping[str, Any]) -> list[Layer]:
    """Return the modules that the tensors of a file belong to. Raises Unmeasurable."""
    paths = {place: {_flat(path): path for path, _ in model.named_modules()} for place, model in models.items()}
    layers: dict[Home, Layer] = {}
    for name in names:
        part = PART.search(name)
        if part is None or part.lastgroup is None:
            raise Unmeasurable(f"It brings {name}, which cannot be made small.")
        home = _home(name[: part.start()], pipeline, paths)
        layers.setdefault(home, Layer(home)).names[part.lastgroup] = name
    if not all({"down", "up"} <= layer.names.keys() for layer in layers.values()):
        raise Unmeasurable("A matrix of its pairs is missing.")
    return list(layers.values())


def _home(name: str, pipeline: Pipeline, paths: Mapping[str, Mapping[str, str]]) -> Home:
    """Return the modules of the pipeline's model that a name in a file is for. Raises Unmeasurable."""
    place, path = _split(name, pipeline)
    if path := paths[place].get(_flat(path), ""):
        return Home(place, (path,))
    try:
        home = image_names.home_of(place, image_names.place(name)[1], LAYOUTS.get(pipeline.loader, FLUX))
    except Unconvertible:
        home = None
    found = [paths[place].get(_flat(path), "") for path in home.paths] if home else [""]
    if home is None or not all(found):
        raise Unmeasurable(f"Only the converter of diffusers knows the modules that {name} is for.")
    return Home(place, tuple(found), home.is_swapped)


def _split(path: str, pipeline: Pipeline) -> tuple[str, str]:
    """Return the place of the model that a path in a file is for, and the rest of the path. Raises Unmeasurable."""
    prefixes = {f"{place}.": place for place in pipeline.models} | FLAT | dict.fromkeys(DOTTED, "")
    for prefix, place in prefixes.items():
        if path.startswith(prefix) and (place or pipeline.denoiser) in pipeline.models:
            return place or pipeline.denoiser, path.removeprefix(prefix)
    raise Unmeasurable(f"No model of the pipeline has a module {path}.")


def _flat(path: str) -> str:
    """Return a path as kohya writes it, without the level of text encoders that few releases of transformers have."""
    return path.replace(".", "_").removeprefix("text_model_")
