"""Loads a LoRA as diffusers does, into the models of a pipeline at their real size, and makes pictures with it.

The models of the real size have no weights: they are on the meta device. Those that make pictures are narrow. Each
trial builds its models again, since diffusers widens layers of a transformer before it refuses a file. diffusers is
imported in the interpreter .engines/diffusers alone; it starts no thread and no socket, so that a process that did this
may fork.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import diffusers
import torch
from diffusers.loaders import lora_pipeline
from diffusers.utils.logging import disable_progress_bar

from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving.diffusers import KEY
from workers.engine.measurers import Trial, Unmeasurable, refused, words
from workers.engine.measurers.pipelines import PIPELINES, Pipeline
from workers.engine.measurers.small_pipeline import SmallPipeline

ENGINE = f"diffusers {version('diffusers')}"
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError, OSError)
MAX_MISSED = 5
DOWN = re.compile(r"[._](?:lora_A|lora_down|lora\.down|lora_linear_layer\.down)\.(?:default\.)?weight$")
ADAPTER = "measured"
WEIGHTS = "pytorch_lora_weights.safetensors"  # diffusers' own name, which it takes where there are several


def rehearse() -> None:
    """Import every class of the table, and load a toy's LoRA."""
    disable_progress_bar()
    for pipeline in PIPELINES.values():
        for model in pipeline.models.values():
            assert model.cls, "looking it up imports it"
    toy = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), layers_per_block=1,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32,
    )  # fmt: skip
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    pair = {f"unet.{path}.lora_A.weight": torch.zeros(4, 64), f"unet.{path}.lora_B.weight": torch.zeros(64, 4)}
    _standing(PIPELINES["StableDiffusionPipeline"], {"unet": toy, "text_encoder": None}).load_lora_weights(pair)


def measure(trial: Trial) -> Measured:
    """Return what diffusers reaches of an adapter, or how it refuses it. Raises Unmeasurable."""
    kind = str(trial.config.get(KEY))
    pipeline = PIPELINES.get(kind)
    if pipeline is None:
        raise Unmeasurable(f"No pipeline like {kind} is known here.")
    weights = sorted(path.name for path in trial.adapter.glob("*.safetensors"))
    if len(weights) != 1 and WEIGHTS not in weights:
        raise Unmeasurable(f"It has {len(weights)} files of weights, and which is meant only a person can tell.")
    name = weights[0] if len(weights) == 1 else WEIGHTS
    mapped = _mapped(trial, pipeline, name)
    return _run(trial, kind, name, mapped) if trial.runs and mapped.modules else mapped


def _run(trial: Trial, kind: str, name: str, mapped: Measured) -> Measured:
    """Let a narrow pipeline make pictures with the adapter; where that cannot be, what was mapped stays.

    So does what it refuses alone: some of diffusers' converters know the width of one base.
    """
    try:
        small = SmallPipeline(trial, kind, PIPELINES[kind], name)
        right, folder = small.expected(), small.write_adapter()
        pipeline = small.fresh()
        pipeline.load_lora_weights(str(folder), weight_name=name, adapter_name=ADAPTER)
        return right.judged(mapped, small.pictures(pipeline))
    except (Unmeasurable, *REFUSALS) as problem:
        return replace(mapped, not_run=words(problem))


def _mapped(trial: Trial, pipeline: Pipeline, name: str) -> Measured:
    """Return what diffusers reaches at the real size, or how it refuses the adapter. Raises Unmeasurable."""
    try:
        models = {place: model.outline() for place, model in pipeline.models.items()}
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


def _standing(pipeline: Pipeline, models: dict[str, Any]) -> Any:
    """Return an object that stands for the pipeline while a LoRA is loaded: its loader and its models."""
    loader = getattr(lora_pipeline, pipeline.loader)
    standing = type("Standing", (loader,), {"hf_device_map": None, "components": models})()
    for place, model in models.items():
        setattr(standing, place, model)
    return standing
