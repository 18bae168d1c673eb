"""Loads a LoRA as diffusers does, into the models of a pipeline at their real size on the meta device.

No weight of a base is read or made, and nothing is run. Each trial builds its models anew: diffusers widens layers of a
transformer before it refuses a file. Only this file imports diffusers, in the interpreter .engines/diffusers; it starts
no thread and no socket, so that a process that did this may fork.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import diffusers
import torch
import transformers
from diffusers.loaders import lora_pipeline
from diffusers.utils.logging import disable_progress_bar

from dovetail.adapters.report import Measured
from dovetail.adapters.serving.pipelines import KEY
from workers.engine.measurers import Trial, Unmeasurable, refused, words

ENGINE = f"diffusers {version('diffusers')}"
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError, OSError)
MAX_MISSED = 5
DOWN = re.compile(r"[._](?:lora_A|lora_down|lora\.down|lora_linear_layer\.down)\.(?:default\.)?weight$")
ADAPTER = "measured"
WEIGHTS = "pytorch_lora_weights.safetensors"  # diffusers' own name, which it takes where there are several
CLIP_L = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "projection_dim": 768,
}  # fmt: skip
CLIP_G = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "projection_dim": 1280, "hidden_act": "gelu",
}  # fmt: skip
Size = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The loader of a pipeline, and the class and sizes of each model in it, where they are not the class's own."""

    loader: str
    models: dict[str, tuple[str, Size]]


# By the class that model_index.json names. The sizes are those of the first published base; other bases of a pipeline
# have the same names, and a file of another size is refused by its shapes.
PIPELINES = {
    "StableDiffusionPipeline": Pipeline("StableDiffusionLoraLoaderMixin", {
        "unet": ("UNet2DConditionModel", {"cross_attention_dim": 768, "sample_size": 64}),
        "text_encoder": ("CLIPTextModel", CLIP_L),
    }),
    "StableDiffusionXLPipeline": Pipeline("StableDiffusionXLLoraLoaderMixin", {
        "unet": ("UNet2DConditionModel", {
            "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }),
        "text_encoder": ("CLIPTextModel", CLIP_L),
        "text_encoder_2": ("CLIPTextModelWithProjection", CLIP_G),
    }),
    "StableDiffusion3Pipeline": Pipeline("SD3LoraLoaderMixin", {
        "transformer": ("SD3Transformer2DModel", {"num_layers": 24, "num_attention_heads": 24, "attention_head_dim": 64,
                                                  "caption_projection_dim": 1536, "pos_embed_max_size": 192}),
        "text_encoder": ("CLIPTextModelWithProjection", CLIP_L),
        "text_encoder_2": ("CLIPTextModelWithProjection", CLIP_G),
    }),
    "FluxPipeline": Pipeline("FluxLoraLoaderMixin", {
        "transformer": ("FluxTransformer2DModel", {"guidance_embeds": True}), "text_encoder": ("CLIPTextModel", CLIP_L),
    }),
    "Flux2Pipeline": Pipeline("Flux2LoraLoaderMixin", {"transformer": ("Flux2Transformer2DModel", {})}),
    "QwenImagePipeline": Pipeline("QwenImageLoraLoaderMixin", {"transformer": ("QwenImageTransformer2DModel", {})}),
    "WanPipeline": Pipeline("WanLoraLoaderMixin", {"transformer": ("WanTransformer3DModel", {})}),
    "ZImagePipeline": Pipeline("ZImageLoraLoaderMixin", {"transformer": ("ZImageTransformer2DModel", {})}),
}  # fmt: skip


def rehearse() -> None:
    """Import every class of the table, and load a toy's LoRA."""
    disable_progress_bar()
    for pipeline in PIPELINES.values():
        for name, _ in pipeline.models.values():
            _class(name)
    toy = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), layers_per_block=1,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32,
    )  # fmt: skip
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    pair = {f"unet.{path}.lora_A.weight": torch.zeros(4, 64), f"unet.{path}.lora_B.weight": torch.zeros(64, 4)}
    _standing(PIPELINES["StableDiffusionPipeline"], {"unet": toy, "text_encoder": None}).load_lora_weights(pair)


def measure(trial: Trial) -> Measured:
    """Return what diffusers reaches of an adapter, or how it refuses it. Raises Unmeasurable."""
    pipeline = PIPELINES.get(str(trial.config.get(KEY)))
    if pipeline is None:
        raise Unmeasurable(f"No pipeline like {trial.config.get(KEY)} is known here.")
    weights = sorted(path.name for path in trial.adapter.glob("*.safetensors"))
    if len(weights) != 1 and WEIGHTS not in weights:
        raise Unmeasurable(f"It has {len(weights)} files of weights, and which is meant only a person can tell.")
    name = weights[0] if len(weights) == 1 else WEIGHTS
    try:
        models = {place: _model(*model) for place, model in pipeline.models.items()}
    except REFUSALS as problem:
        raise Unmeasurable(words(problem)) from problem
    standing = _standing(pipeline, models)
    try:
        unet = {"unet_config": models["unet"].config} if "unet" in models else {}
        told = standing.lora_state_dict(str(trial.adapter), weight_name=name, **unet)
        standing.load_lora_weights(str(trial.adapter), weight_name=name, adapter_name=ADAPTER)
    except REFUSALS as problem:
        return refused(ENGINE, trial, problem)
    reached = {_plain(f"{place}.{path}") for place, model in models.items() for path in _reached(model)}
    return _counted(trial, told[0] if isinstance(told, tuple) else told, reached)


def _counted(trial: Trial, converted: Collection[str], reached: set[str]) -> Measured:
    """Compare the pairs of the file, those that diffusers made of them, and the modules that got one.

    A pair of the file may become several, where the original code has one matrix for what diffusers has apart.
    """
    pairs = {DOWN.split(key)[0] for key in trial.subject.tensors if DOWN.search(key)}
    made = {_plain(DOWN.split(key)[0]) for key in converted if DOWN.search(key)}
    if reached and len(made) < len(pairs):
        reason = f"diffusers makes {len(made)} of its {len(pairs)} pairs, and which it leaves out is not known."
        raise Unmeasurable(reason)
    asked = made if reached else pairs
    missed = sorted(asked - reached)[:MAX_MISSED] if len(reached) < len(asked) else []
    return Measured(engine=ENGINE, modules=min(len(reached), len(asked)), of=len(asked), missed=tuple(missed))


def _plain(path: str) -> str:
    """Return a path without the level of text encoders that releases of transformers have or have not."""
    return path.replace(".text_model.", ".")


def _reached(model: Any) -> Iterator[str]:
    """Yield the modules of a model in which the adapter was put."""
    for path, module in model.named_modules():
        if ADAPTER in (getattr(module, "lora_A", None) or ()):
            yield path


def _class(name: str) -> Any:
    return getattr(transformers if name.startswith("CLIP") else diffusers, name)


def _model(name: str, size: Size) -> Any:
    made = _class(name)
    with torch.device("meta"):
        return made(transformers.CLIPTextConfig(**size)) if name.startswith("CLIP") else made(**size)


def _standing(pipeline: Pipeline, models: dict[str, Any]) -> Any:
    """Return an object that stands for the pipeline while a LoRA is loaded: its loader and its models."""
    loader = getattr(lora_pipeline, pipeline.loader)
    standing = type("Standing", (loader,), {"hf_device_map": None, "components": models})()
    for place, model in models.items():
        setattr(standing, place, model)
    return standing
