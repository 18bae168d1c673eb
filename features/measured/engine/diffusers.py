"""Loads a LoRA as diffusers does, into the models of a pipeline at their real size, and makes pictures with it.

The models of the real size have no weights: they are on the meta device. Those that make pictures are narrow. Each
trial builds its models again, since diffusers widens layers of a transformer before it refuses a file. diffusers is
imported in the interpreter .engines/diffusers alone; it starts no thread and no socket, so that a process that did this
may fork.

A small run takes a pipeline made narrow and a LoRA made narrow in the same places, and compares pictures with the right
ones of both.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.loaders import lora_pipeline
from diffusers.utils.logging import disable_progress_bar
from peft import LoraConfig, inject_adapter_in_model
from safetensors import safe_open
from safetensors.torch import save_file

from dovetail.adapters.convert.image_names import Home
from dovetail.adapters.files import config as configs
from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving.diffusers import KEY
from features.measured.engine import Trial, Unmeasurable
from features.measured.engine.pipelines import PIPELINES, WIDTH, Layer, Pipeline, layers_of
from features.measured.engine.small import Expected, expecting, refused, words

METADATA = "lora_adapter_metadata"  # of diffusers' own files: the settings of PEFT, by model
TOLERANCE = 0.001  # of the largest number of a picture; float32 in another order differs by less
SEED, STEPS, PIXELS, WORDS = 6, 2, 64, 8
REFERENCE = "reference"


@dataclass(frozen=True)
class Picture:
    """The numbers that a model or a pipeline gave."""

    values: torch.Tensor

    def equals(self, other: Picture) -> bool:
        """Return whether no number differs by more than arithmetic in another order explains; NaN differs."""
        most = float(self.values.abs().max())
        return bool(float((self.values - other.values).abs().max()) <= TOLERANCE * most)


@dataclass
class SmallPipeline:
    """A narrow pipeline and a narrow adapter. `file` is the name of the adapter's file of weights."""

    trial: Trial
    kind: str
    pipeline: Pipeline
    file: str

    def __post_init__(self) -> None:
        torch.manual_seed(SEED)
        self.models = {place: _filled(model.made(narrow=True)) for place, model in self.pipeline.models.items()}

    def fresh(self) -> Any:
        """Return the pipeline as people start it, but for what makes texts of words, and pictures of latents."""
        return self._assembled(copy.deepcopy(self.models))

    def _assembled(self, models: Mapping[str, Any]) -> Any:
        cls = getattr(diffusers, self.kind.partition(" ")[0])
        needed = [
            name
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if parameter.default is parameter.empty and name != "self"
        ]
        parts: dict[str, object] = {**dict.fromkeys(needed), **models, "scheduler": self._scheduler()}
        more = {"requires_safety_checker": False} if "safety_checker" in parts else {}
        made = cls(**parts, **more)
        made.set_progress_bar_config(disable=True)
        return made

    def _scheduler(self) -> Any:
        if self.pipeline.denoiser == "unet":
            return diffusers.DDIMScheduler(clip_sample=False, steps_offset=1)
        return diffusers.FlowMatchEulerDiscreteScheduler()

    def expected(self) -> Expected:
        """Return the right pictures. Raises Unmeasurable where the adapter changes nothing."""
        reference = copy.deepcopy(self.models)
        for place, model in reference.items():
            self._inject(model, [layer for layer in self._layers if layer.place == place])
        return expecting(self.pictures(self.fresh()), self.pictures(self._assembled(reference)))

    def pictures(self, pipeline: Any) -> list[Picture]:
        """Return what a pipeline makes in a few steps, and what its models of texts give."""
        dice = torch.Generator().manual_seed(SEED)
        texts = torch.randn(1, WORDS, WIDTH, generator=dice)
        is_list = "list" in str(inspect.signature(pipeline.__call__).parameters["prompt_embeds"].annotation)
        offered = {
            "prompt_embeds": [texts[0]] if is_list else texts,
            "num_frames": 1,
            "height": PIXELS,
            "width": PIXELS,
            "pooled_prompt_embeds": torch.randn(1, WIDTH, generator=dice),
            "true_cfg_scale": 1.0,
            "guidance_scale": 0.0,
            "prompt_embeds_mask": torch.ones(1, WORDS, dtype=torch.long),
            "num_inference_steps": STEPS,
            "output_type": "latent",
            "return_dict": False,
            "generator": dice,
        }
        taken = inspect.signature(pipeline.__call__).parameters
        with torch.inference_mode():
            made = pipeline(**{key: value for key, value in offered.items() if key in taken})[0]
            ids = torch.arange(1, WORDS + 1)[None]
            read = [getattr(pipeline, place)(ids)[0] for place in self.models if place != self.pipeline.denoiser]
        return [Picture(values.float()) for values in ([*made] if isinstance(made, list) else [made]) + read]

    # --- the adapter -------------------------------------------------------------------------------------------------
    def write_adapter(self) -> Path:
        """Write it with the names, the settings and the metadata that its file has."""
        folder = self.trial.work / "narrow"
        folder.mkdir()
        tensors = {
            name: self._values[layer.home][part].contiguous()
            for layer in self._layers
            for part, name in layer.names.items()
        }
        save_file(tensors, folder / self.file, metadata=self._metadata)
        if self.trial.subject.config:
            (folder / configs.NAME).write_text(json.dumps(dict(self.trial.subject.config)))
        return folder

    def _inject(self, model: Any, layers: list[Layer]) -> None:
        """Put the adapter into a model as PEFT does, module by module, with the scale that its file says."""
        for has_magnitude in (False, True):
            chosen = [layer for layer in layers if ("magnitude" in layer.names) == has_magnitude]
            if not chosen:
                continue
            name = f"{REFERENCE}{has_magnitude}"
            ranks = {path: len(self._values[layer.home]["down"]) for layer in chosen for path in layer.paths}
            config = LoraConfig(target_modules=list(ranks), rank_pattern=ranks, use_dora=has_magnitude)
            inject_adapter_in_model(config, model, name)
            for layer in chosen:
                self._fill([model.get_submodule(path) for path in layer.paths], name, layer)

    def _fill(self, modules: list[Any], name: str, layer: Layer) -> None:
        """Put the tensors of a layer into its modules, below each other in one matrix of the file."""
        values, first = self._values[layer.home], 0
        up = torch.cat(values["up"].chunk(2)[::-1]) if layer.home.is_swapped else values["up"]
        for module in modules:
            rows = slice(first, first := first + len(module.weight))
            module.lora_A[name].weight.data = values["down"]
            module.lora_B[name].weight.data = up[rows]
            module.scaling[name] = self._scale(layer)
            if "magnitude" in values:
                table = module.lora_magnitude_vector[name].weight
                table.data = values["magnitude"].flatten()[rows].reshape(table.shape)

    def _scale(self, layer: Layer) -> float:
        settings, rank = self._settings(layer.place), self._rank(layer)
        alpha = self._alphas.get(layer.names.get("alpha", ""))
        if alpha is None:
            patterns: Any = settings.get("alpha_pattern") or {}
            alpha = patterns.get(layer.paths[0], settings.get("lora_alpha"))
        if alpha is None:
            return 1.0
        return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)

    def _rank(self, layer: Layer) -> int:
        return self.trial.subject.tensors[layer.names["down"]][0]

    def _settings(self, place: str) -> Mapping[str, Any]:
        """Return the settings of PEFT that the file, or the config beside it, has for a model."""
        told = json.loads(self._metadata.get(METADATA, "{}"))
        own = {key.removeprefix(f"{place}."): value for key, value in told.items() if key.startswith(f"{place}.")}
        return own or (self.trial.subject.config if place == self.pipeline.denoiser else {})

    @cached_property
    def _layers(self) -> list[Layer]:
        return layers_of(self.trial.subject.tensors, self.pipeline, self.models)

    @cached_property
    def _metadata(self) -> dict[str, str]:
        with safe_open(self.trial.adapter / self.file, "pt") as opened:
            return dict(opened.metadata() or {})

    @cached_property
    def _alphas(self) -> dict[str, float]:
        names = [name for name in self.trial.subject.tensors if name.endswith(".alpha")]
        with safe_open(self.trial.adapter / self.file, "pt") as opened:
            return {name: float(opened.get_tensor(name).float().reshape(-1)[0]) for name in names}

    @cached_property
    def _values(self) -> dict[Home, dict[str, torch.Tensor]]:
        """The narrow tensors of each layer, by its part."""
        dice = torch.Generator().manual_seed(SEED)
        return {layer.home: self._made(layer, dice) for layer in self._layers}

    def _made(self, layer: Layer, dice: torch.Generator) -> dict[str, torch.Tensor]:
        model = self.models[layer.place]
        weight = torch.cat([model.get_submodule(path).weight for path in layer.paths])
        rank, scale = self._rank(layer), self._scale(layer)
        if not scale:
            raise Unmeasurable("Its scale is 0.")
        down = torch.randn(rank, *weight.shape[1:], generator=dice) / math.sqrt(weight[0].numel())
        up = torch.randn(weight.shape[0], rank, *(1 for _ in weight.shape[2:]), generator=dice)
        made = {"down": down, "up": up * 0.5 / (math.sqrt(rank) * abs(scale))}
        if "alpha" in layer.names:
            made["alpha"] = torch.tensor(self._alphas[layer.names["alpha"]])
        if "magnitude" in layer.names:
            shape = (len(weight), *(1 for _ in self.trial.subject.tensors[layer.names["magnitude"]][1:]))
            norms = weight.flatten(1).norm(dim=1) * (1 + 0.2 * torch.rand(len(weight), generator=dice))
            made["magnitude"] = norms.detach().reshape(shape)
        return made


def _filled(model: Any) -> Any:
    """Return a model with weights under which no layer gives nothing, and none drowns the others."""
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 1 / math.sqrt(weights[0].numel()))
    return model.eval()


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
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        layers_per_block=1,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
    )
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
        raise Unmeasurable(f"It has {len(weights)} files of weights, and only a person can tell which one is meant.")
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
        reason = f"diffusers applies {len(made)} of its {len(pairs)} pairs, and does not report which it drops."
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


def _standing(pipeline: Pipeline, models: Mapping[str, Any]) -> Any:
    """Return an object that stands for the pipeline while a LoRA is loaded: its loader and its models."""
    loader = getattr(lora_pipeline, pipeline.loader)
    standing = type("Standing", (loader,), {"hf_device_map": None, "components": models})()
    for place, model in models.items():
        setattr(standing, place, model)
    return standing
