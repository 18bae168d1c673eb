"""The structure of a model: its modules and their sizes, and the inputs of one that hears, or sees and reads at once.

The inputs beside tokens have shapes, and rows of them are made by generators.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from dovetail.adapters.shapes.fit import Manifest, Module

ROWS = 4
IDS = 8  # tokens of a text beside a picture, and of the start of what a decoder writes
SAMPLES = 4000  # a quarter of a second of sound
PIXELS, CHANNELS = 224, 3  # of a side, and colours, where a config does not say
MELS, FRAMES = 80, 3000

# The module's own table of parameters or buffers, the name in it, and the full name.
Place = tuple[dict[str, torch.Tensor], str, str]
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


def places(model: torch.nn.Module) -> Iterator[Place]:
    for path, module in model.named_modules():
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield table, name, f"{path}.{name}"


def manifest(model: Any) -> Manifest:
    """Return the name and size of every module, as the checks of fit need them."""
    modules = {path: _module(module) for path, module in model.named_modules() if path}
    output = model.get_output_embeddings()
    output_path = (
        next((path for path, module in model.named_modules() if module is output), "") if output is not None else ""
    )
    embedding = input_embeddings(model)
    if embedding is None:
        return Manifest(modules)
    entry = next(path for path, module in model.named_modules() if module is embedding)
    return Manifest(modules, embedding.weight.shape[1], _prefix_width(model), entry, output_path)


def input_embeddings(model: Any) -> Any:
    """Return the table of a model's tokens; None for one that sees, and for one of two towers."""
    if model.main_input_name == "pixel_values":
        return None
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        return None


def _module(module: torch.nn.Module) -> Module:
    own = {name: tuple(tensor.shape) for name, tensor in module._parameters.items() if tensor is not None}
    if isinstance(module, torch.nn.Linear):
        return Module("linear", module.in_features, module.out_features, own)
    if isinstance(module, Conv1D):
        return Module("conv1d", module.weight.shape[0], module.weight.shape[1], own)
    if isinstance(module, torch.nn.Embedding):
        return Module("embedding", module.num_embeddings, module.embedding_dim, own)
    if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
        return Module("conv", module.in_channels, module.out_channels, own)
    if any(len(shape) == 3 for shape in own.values()):  # all experts of a layer in one table, inputs last or first
        return Module("experts-turned" if getattr(module, "is_transposed", False) else "experts", 0, 0, own)
    return Module("other", 0, 0, own)


def _prefix_width(model: Any) -> int:
    """Return the width of a prefix, keys and values of every layer; 0 if the base takes none.

    A model that generates text takes a prefix. PEFT passes it to any other model only in a parameter named
    past_key_values (peft_model.py, _prefix_tuning_forward), which encoders in transformers 5 no longer have, nor do the
    heads with labels of any model.
    """
    backbone = getattr(model, model.base_model_prefix, model)
    takes_prefix = any("past_key_values" in inspect.signature(part.forward).parameters for part in (model, backbone))
    with_labels = type(model).__name__.endswith(("Classification", "QuestionAnswering"))
    if not takes_prefix and (with_labels or not model.can_generate()):
        return 0
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    if not heads:  # state space models and RWKV have no keys and values
        return 0
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(config.num_hidden_layers * 2 * (getattr(config, "num_key_value_heads", None) or heads) * width)
