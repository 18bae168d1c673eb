"""The models in pipelines of diffusers, at the size of their bases and made narrow; for .engines/diffusers alone.

The modules that the names in a LoRA's file mean are found without diffusers' own loader. Names that are no path in the
model are those of its original code, whose modules the format library knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
import transformers

from dovetail.adapters.convert import Unconvertible, image_names
from dovetail.adapters.convert.image_names import FLUX, FLUX2, WAN, Home
from features.measured.engine import Unmeasurable

Size = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """A model: the name of its class, its sizes where they are not the class's own, and others that make it narrow.

    A narrow one has all layers of the real one, so the names of its modules are the same.
    """

    name: str
    size: Size
    narrow: Size

    @property
    def cls(self) -> Any:
        return getattr(transformers if self.name.startswith("CLIP") else diffusers, self.name)

    def made(self, *, narrow: bool = False) -> Any:
        """Return a model with random weights."""
        size = {**self.size, **(self.narrow if narrow else {})}
        return self.cls(transformers.CLIPTextConfig(**size)) if self.name.startswith("CLIP") else self.cls(**size)

    def outline(self) -> Any:
        """Return a model of the real size without weights."""
        with torch.device("meta"):
            return self.made()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The loader of a pipeline, and the models in it."""

    loader: str
    models: dict[str, Model]

    @property
    def denoiser(self) -> str:
        """The place of the model that makes pictures."""
        return "unet" if "unet" in self.models else "transformer"


WIDTH = 64  # of texts, and of most layers of a narrow model
CLIP = {"hidden_size": WIDTH, "intermediate_size": 128, "num_attention_heads": 4, "projection_dim": WIDTH,
        "vocab_size": 128}  # fmt: skip
HEADS = {"num_attention_heads": 4, "attention_head_dim": WIDTH // 4}
ROPE = {"axes_dims_rope": (4, 6, 6)}  # of a head
CLIP_L_SIZE = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "projection_dim": 768,
}  # fmt: skip
CLIP_G_SIZE = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "projection_dim": 1280, "hidden_act": "gelu",
}  # fmt: skip
CLIP_L = Model("CLIPTextModel", CLIP_L_SIZE, CLIP)
PROJECTING = {
    "text_encoder": Model("CLIPTextModelWithProjection", CLIP_L_SIZE, CLIP),
    "text_encoder_2": Model("CLIPTextModelWithProjection", CLIP_G_SIZE, CLIP),
}


def _sd3(layers: int, heads: int, most: int, **more: Any) -> Pipeline:
    size = {"num_layers": layers, "num_attention_heads": heads, "attention_head_dim": 64, "pos_embed_max_size": most,
            "caption_projection_dim": 64 * heads, **more}  # fmt: skip
    narrow = {**HEADS, "caption_projection_dim": WIDTH, "joint_attention_dim": WIDTH, "pooled_projection_dim": WIDTH}
    return Pipeline("SD3LoraLoaderMixin", {"transformer": Model("SD3Transformer2DModel", size, narrow), **PROJECTING})


def _wan(size: Size) -> Pipeline:
    narrow = {**HEADS, "text_dim": WIDTH, "ffn_dim": 128}
    return Pipeline("WanLoraLoaderMixin", {"transformer": Model("WanTransformer3DModel", size, narrow)})


# By the class that model_index.json names, and a word for the size where its bases have several. The sizes are those of
# the first published base; a file of another size is refused by its shapes.
PIPELINES = {
    "StableDiffusionPipeline": Pipeline("StableDiffusionLoraLoaderMixin", {
        "unet": Model("UNet2DConditionModel", {"cross_attention_dim": 768, "sample_size": 64},
                      {"block_out_channels": (32, 64, 64, 64), "cross_attention_dim": WIDTH}),
        "text_encoder": CLIP_L,
    }),
    "StableDiffusionXLPipeline": Pipeline("StableDiffusionXLLoraLoaderMixin", {
        "unet": Model("UNet2DConditionModel", {
            "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }, {
            "block_out_channels": (32, 64, 64), "attention_head_dim": (2, 4, 4), "cross_attention_dim": WIDTH,
            "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": WIDTH + 6 * 8,
        }),
        "text_encoder": CLIP_L, "text_encoder_2": PROJECTING["text_encoder_2"],
    }),
    "StableDiffusion3Pipeline": _sd3(24, 24, 192),
    "StableDiffusion3Pipeline 3.5 medium": _sd3(
        24, 24, 384, qk_norm="rms_norm", dual_attention_layers=tuple(range(13))
    ),
    "StableDiffusion3Pipeline 3.5 large": _sd3(38, 38, 192, qk_norm="rms_norm"),
    "FluxPipeline": Pipeline("FluxLoraLoaderMixin", {
        "transformer": Model("FluxTransformer2DModel", {"guidance_embeds": True}, {
            **HEADS, **ROPE, "joint_attention_dim": WIDTH, "pooled_projection_dim": WIDTH,
        }),
        "text_encoder": CLIP_L,
    }),
    "Flux2Pipeline": Pipeline("Flux2LoraLoaderMixin", {
        "transformer": Model("Flux2Transformer2DModel", {}, {
            **HEADS, "axes_dims_rope": (4, 4, 4, 4), "joint_attention_dim": WIDTH,
        }),
    }),
    "QwenImagePipeline": Pipeline("QwenImageLoraLoaderMixin", {
        "transformer": Model("QwenImageTransformer2DModel", {}, {**HEADS, **ROPE, "joint_attention_dim": WIDTH}),
    }),
    "WanPipeline": _wan({}),
    "WanPipeline 1.3B": _wan({"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}),
    "ZImagePipeline": Pipeline("ZImageLoraLoaderMixin", {
        "transformer": Model("ZImageTransformer2DModel", {}, {
            "dim": WIDTH, "n_heads": 4, "n_kv_heads": 4, "axes_dims": [4, 6, 6], "cap_feat_dim": WIDTH,
        }),
    }),
}  # fmt: skip


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
            raise Unmeasurable(f"It contains {name}, which cannot be made small.")
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
        raise Unmeasurable(f"Only the converter of diffusers knows the modules of {name}.")
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
