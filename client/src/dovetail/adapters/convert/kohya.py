"""kohya's LoRA: one safetensors file with lora_down, lora_up and alpha of each module; `diffusers.read` reads it."""

import re
import struct
from collections import defaultdict
from collections.abc import Mapping

from dovetail.adapters.convert import image_names
from dovetail.adapters.convert.lora import (
    TEXT_ENCODER_2,
    TRANSFORMER,
    UNET,
    Lazies,
    Lazy,
    Lora,
    Module,
    Unconvertible,
    alpha_of,
    diagonal,
    require_plain,
    scalar,
    write_lazily,
)
from dovetail.adapters.convert.peft import Writer
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import values

FILE = "pytorch_lora_weights.kohya.safetensors"
DEEP = re.compile(r"\.transformer_blocks\.[1-9]")  # of which Stable Diffusion 1 and 2 have one in each block
XL_TEXT = 2048  # the width of the text that the UNet of Stable Diffusion XL attends to


def write(loras: list[Lora]) -> dict[str, Writer]:
    """Return the file by name, with the names that sd-scripts has for this model.

    Raises `Unconvertible` for DoRA, and for modules that kohya has no name for.
    """
    components = {lora.component for lora in loras}
    is_xl = TEXT_ENCODER_2 in components or any(map(_is_of_xl, loras))
    is_first = bool(components & {TEXT_ENCODER_2, TRANSFORMER})  # the text encoder is one of several
    tensors: Lazies = {}
    for lora in loras:
        require_plain(lora, "kohya")
        for path, module in _original(lora, is_xl=is_xl).items():
            name = image_names.flat_name(path, lora.component, is_first=is_first)
            tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = module.down, module.up
            tensors[f"{name}.alpha"] = scalar(single_alpha(module, path))
    metadata = {"ss_network_module": "networks.lora", "ss_network_dim": _dim(loras), "ss_network_alpha": "Dynamic"}
    return {FILE: lambda target: write_lazily(tensors, target, metadata)}


def _is_of_xl(lora: Lora) -> bool:
    return lora.component == UNET and any(
        DEEP.search(path) or (path.endswith("attn2.to_k") and module.down.shape[1] == XL_TEXT)
        for path, module in lora.modules.items()
    )


def _original(lora: Lora, *, is_xl: bool) -> Mapping[str, Module]:
    """Return the modules by the paths that sd-scripts has: those of diffusers but for XL and for transformers."""
    if lora.component == UNET and is_xl:
        return {image_names.sgm_path(path): module for path, module in lora.modules.items()}
    if lora.component != TRANSFORMER:
        return lora.modules
    layout = image_names.layout_named(lora.modules, configs.text(lora.config, "base_model_name_or_path") or "")
    if layout is None:
        raise Unconvertible(
            "Its names fit several models for which kohya's names differ: name the base, with --base-name "
            "if the adapter names none."
        )
    stacks: dict[str, dict[str, Module]] = defaultdict(dict)
    for path, module in lora.modules.items():
        stacks[layout.original(path) or path][path] = module
    return {original: _stacked(original, own, layout) for original, own in stacks.items()}


def _stacked(original: str, own: Mapping[str, Module], layout: image_names.Layout) -> Module:
    """Return one module for all that the original code has in one matrix, each block of rows with its own columns.

    Where they share their down matrix, it stays one. Rows of a module that is not adapted are zero.
    """
    paths = layout.paths(original) or tuple(own)
    first, inputs = next((own[path], own[path].down.shape[1]) for path in paths if path in own)
    if len(paths) == 1:
        return first.with_up(first.up.halves_swapped()) if paths[0] == image_names.SWAPPED else first
    present = [own[path] for path in paths if path in own]
    kinds = {(module.scale, module.up.dtype, module.down.dtype, len(module.up.shape)) for module in present}
    if kinds != {(first.scale, first.up.dtype, first.down.dtype, 2)}:
        raise Unconvertible(f"{', '.join(own)} are one matrix there, but differ in scale or dtype.", original)
    if len(present) == len(paths) and all(module.down.raw() == first.down.raw() for module in present):
        rows = sum(module.up.shape[0] for module in present)
        up = Lazy(first.up.dtype, (rows, first.rank), lambda: (module.up.raw() for module in present))
        return Module(first.down, up, first.scale)
    absent = first.up.shape[0] if len(paths) == len("qkv") else inputs  # the height of q, k and v
    blocks: list[tuple[Lazy | None, int, int]] = []
    rank = rows = 0
    for path in paths:
        module = own.get(path)
        height = module.up.shape[0] if module else 4 * inputs if path.endswith("mlp") else absent
        blocks.append((module.up if module else None, height, rank))
        rank, rows = rank + (module.rank if module else 0), rows + height
    down = Lazy(first.down.dtype, (rank, inputs), lambda: (module.down.raw() for module in present))
    up = Lazy(first.up.dtype, (rows, rank), lambda: diagonal(blocks, rank, first.up.dtype))
    return Module(down, up, first.scale)


def single_alpha(module: Module, path: str) -> float:
    """Return the alpha, which the formats of one file hold in 32 bits. Raises `Unconvertible` if that rounds it."""
    alpha = alpha_of(module, path)
    if struct.unpack("<f", values.single(alpha))[0] != alpha:
        raise Unconvertible(
            f"its scale {module.scale!r} needs the alpha {alpha!r}, which does not fit into 32 bits.", path
        )
    return alpha


def _dim(loras: list[Lora]) -> str:
    ranks = {module.rank for lora in loras for module in lora.modules.values()}
    return str(ranks.pop()) if len(ranks) == 1 else "Dynamic"
