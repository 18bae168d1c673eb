"""The inputs of models that hear, or that see and read at once: their shapes, and rows made by generators."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

ROWS = 4
IDS = 8  # tokens of a text beside a picture, and of the start of what a decoder writes
SAMPLES = 4000  # a quarter of a second of sound
PIXELS, CHANNELS = 224, 3  # of a side, and colours, where a config does not say
MELS, FRAMES = 80, 3000

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(model: Any) -> Shapes:
    """Return name → shape of the inputs that a model needs beside tokens or in their place; {} for one sense alone.

    A model that takes embeddings in the place of tokens reads text without a picture, such as Llava.
    """
    config, parameters = model.config, inspect.signature(model.forward).parameters
    if model.main_input_name == "input_features":
        frames = 2 * getattr(config, "max_source_positions", FRAMES // 2)
        return {"input_features": (getattr(config, "num_mel_bins", None) or MELS, frames)}
    if model.main_input_name == "input_values":
        return {"input_values": (SAMPLES,)}
    if model.main_input_name == "input_ids" and "pixel_values" in parameters and "inputs_embeds" not in parameters:
        return {"pixel_values": picture_of(getattr(config, "vision_config", config))}
    return {}


def picture_of(config: Any) -> tuple[int, int, int]:
    """Return channels, height and width of a picture."""
    size = getattr(config, "image_size", None) or PIXELS
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return getattr(config, "num_channels", None) or CHANNELS, height, width


def made(shapes: Shapes, config: Any) -> dict[str, torch.Tensor]:
    """Return the inputs of a batch: waves of several lengths with some noise, and tokens where the model has them."""
    generator = torch.Generator().manual_seed(0)
    inputs = {}
    for name, shape in shapes.items():
        steps = torch.linspace(0, 1, shape[-1])
        waves = torch.stack([torch.sin(2 * torch.pi * (3 + 5 * row) * steps) for row in range(ROWS)])
        waves = waves.view(ROWS, *(1 for _ in shape[:-1]), shape[-1]).expand(ROWS, *shape)
        inputs[name] = waves + 0.3 * torch.randn((ROWS, *shape), generator=generator)
    words = int(getattr(config.get_text_config(), "vocab_size", 0) or 0)
    ids = torch.randint(0, max(1, words), (ROWS, IDS), generator=generator)
    if "pixel_values" in shapes:
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    elif config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    return inputs
