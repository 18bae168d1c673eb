"""diffusers' LoRA: one safetensors file for the models of a pipeline, with PEFT's config of each in its metadata.

`read` takes the names of kohya, of ComfyUI and ai-toolkit, of XLabs and of the models' original code as well.
"""

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dovetail.adapters.convert import by_rank, image_names
from dovetail.adapters.convert.lora import (
    UNET,
    Lazies,
    Lazy,
    Lora,
    Loss,
    Module,
    Unconvertible,
    config_of,
    module_of,
    require_headless,
    write_lazily,
)
from dovetail.adapters.convert.peft import Scales, Writer
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.formats import images
from dovetail.adapters.shapes.parts import DOWN, UP

FILE, METADATA = "pytorch_lora_weights.safetensors", "lora_adapter_metadata"
COMPONENT = re.compile(r"(unet|transformer(?:_2)?|text_encoder(?:_[23])?)\.(.+)")
OWN = re.compile(
    rf"(?!.*\.(?:processor|(?:double|single)_blocks)\.){COMPONENT.pattern}\.lora_(?:[AB]\.weight|magnitude_vector)"
)
OTHER_PARTS = {  # start of a part's name → what it is, and the way out
    "diff": "it changes a whole weight or bias, which only a merge into the base can hold",
    "oft": "it is OFT, which rotates the weights of its base; merge it into the base",
}
CARRIED = (
    *("peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "r"),
    *("lora_alpha", "lora_dropout", "bias", "use_rslora", "use_dora", "target_modules", "exclude_modules"),
    *("rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "fan_in_fan_out"),
    "init_lora_weights",
)


def read(tensors: Lazies, metadata: Mapping[str, str], base: str, rank: int = 0) -> list[Lora]:
    """Return a LoRA for each model that the file adapts. Raises `Unconvertible` with the name of a module.

    A module that LyCORIS stores as no pair of matrices becomes one of `rank`; the first LoRA says what that loses.
    """
    parts: dict[str, dict[str, Lazy]] = defaultdict(dict)
    for name, tensor in tensors.items():
        match = images.DIFFUSERS.fullmatch(name) or images.IMAGES.fullmatch(name)
        if match is None:
            raise Unconvertible("it is not part of a LoRA, and other formats have no place for it.", name)
        parts[match[1]][match[2]] = tensor
    configs = _configs(metadata)
    scales = {component: Scales(config) for component, config in configs.items()}
    placed = {name: image_names.place(name) for name in parts}
    losses: dict[str, Loss] = {}
    modules = {}
    for name, sides in parts.items():
        if by_rank.is_product(sides):
            modules[name], losses[name] = _product(name, sides, rank)
        else:
            modules[name] = _module(name, sides, scales.get(placed[name][0]), placed[name][1])
    sizes = {placed[name][1]: (module.down.shape[1], module.up.shape[0]) for name, module in modules.items()}
    layout = image_names.layout_of(sizes)
    family = image_names.unet_of(sizes) or images.of_notes(metadata)[0] or images.of_name(base.rpartition("/")[2])
    found: dict[str, dict[str, Module]] = defaultdict(dict)
    for name, module in sorted(modules.items()):
        home = image_names.home_of(*placed[name], layout)
        if home is None:
            raise Unconvertible("its name is not that of a module of a known image model.", name)
        if name in losses and home.component == UNET and len(module.down.shape) == len("oi"):
            module = _as_in_unet(name, module, home.paths[0], family)
        for path, piece in zip(home.paths, _pieces(name, module, home), strict=True):
            if path in found[home.component]:
                raise Unconvertible(f"the file has {path} of diffusers under two names.", name)
            found[home.component][path] = piece
    stated = {
        component: {key: value for key, value in config.items() if value is not None}
        for component, config in configs.items()
    }
    loras = [
        Lora({**config_of(own, base, component), **stated.get(component, {})}, own, component)
        for component, own in sorted(found.items())
    ]
    return [replace(loras[0], losses=list(losses.values())), *loras[1:]] if loras else []


def write(loras: list[Lora]) -> dict[str, Writer]:
    """Return the file by name. Raises `Unconvertible` for the adapter of a model that is in no pipeline."""
    tensors: Lazies = {}
    stated: dict[str, object] = {}
    for lora in loras:
        require_headless(lora, "diffusers")
        if not lora.component:
            path = next(iter(lora.modules))
            raise Unconvertible("it is not a module of a UNet, transformer or text encoder of diffusers.", path)
        stated |= {f"{lora.component}.{key}": lora.config[key] for key in CARRIED if key in lora.config}
        for path, module in lora.modules.items():
            name = f"{lora.component}.{path}"
            tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = module.down, module.up
            if module.magnitude:
                tensors[f"{name}.lora_magnitude_vector"] = module.magnitude
    metadata = {METADATA: json.dumps(stated, sort_keys=True)}
    return {FILE: lambda target: write_lazily(tensors, target, metadata)}


def _module(name: str, parts: Mapping[str, Lazy], scales: Scales | None, path: str) -> Module:
    sides: dict[str, Lazy] = {}
    magnitude, alpha = None, None
    for part, tensor in parts.items():
        if DOWN.fullmatch(part):
            sides["down"] = tensor
        elif UP.fullmatch(part):
            sides["up"] = tensor
        elif part.startswith(("lora_magnitude_vector", "dora_scale")):
            magnitude = tensor
        elif _is_alpha(part, tensor):
            alpha = _number(tensor)
        else:
            raise _of_no_lora(part, name)
    module = module_of(name, sides, 1.0)
    scale = scales.scale(path) if scales else (module.rank if alpha is None else alpha) / module.rank
    return Module(module.down, module.up, scale, magnitude and _rows_magnitude(name, magnitude, module.up.shape))


def _product(name: str, parts: Mapping[str, Lazy], rank: int) -> tuple[Module, Loss]:
    """Return the pair that a product of LyCORIS becomes, and what is lost."""
    magnitude, alpha = parts.get("dora_scale"), None
    for part, tensor in parts.items():
        if _is_alpha(part, tensor):
            alpha = _number(tensor)
        elif not by_rank.PARTS.fullmatch(part) and part != "dora_scale":
            raise _of_no_lora(part, name)
    module, loss = by_rank.module_of(name, parts, alpha, rank)
    if magnitude:
        module = replace(module, magnitude=_rows_magnitude(name, magnitude, module.up.shape))
    return module, loss


def _as_in_unet(name: str, module: Module, path: str, family: str) -> Module:
    """Return a pair of matrices as that of the layer of a UNet with this path, which may be a convolution."""
    size = image_names.kernel_of(path, family)
    if size is None:
        raise Unconvertible("its UNet decides whether it is a convolution: name the base with --base-name.", name)
    return by_rank.as_convolution(module, (size, size), name) if size else module


def _is_alpha(part: str, tensor: Lazy) -> bool:
    return part.endswith("alpha") and math.prod(tensor.shape) == 1


def _of_no_lora(part: str, name: str) -> Unconvertible:
    why = next((why for start, why in OTHER_PARTS.items() if part.startswith(start)), "save it without")
    return Unconvertible(f"{part} is not part of a plain LoRA: {why}.", name)


def _number(tensor: Lazy) -> float:
    """Return the only value of a tensor; sd-scripts writes a whole alpha as one where it saves as it trained."""
    raw = tensor.raw()
    if tensor.dtype in values.EXPONENTS:
        return float(values.doubles(raw, tensor.dtype)[0])
    return float(int.from_bytes(raw, "little", signed=True))


def _rows_magnitude(name: str, magnitude: Lazy, up: tuple[int, ...]) -> Lazy:
    """Return a DoRA's magnitudes as PEFT shapes them. Raises `Unconvertible` for those of columns, as LyCORIS has."""
    is_of_peft = magnitude.shape[:2] == (1, up[0]) and len(magnitude.shape) == len(up) > 2
    if magnitude.shape[0] == up[0] or is_of_peft:
        return magnitude.reshaped(*((1, up[0], *(1 for _ in up[2:])) if len(up) > 2 else (up[0],)))
    raise Unconvertible(
        f"its magnitudes {magnitude.shape} are per column (LyCORIS without wd_on_output), and PEFT has "
        "them per row: merge it into the base, or train it with wd_on_output.",
        name,
    )


def _pieces(name: str, module: Module, home: image_names.Home) -> list[Module]:
    """Return the modules of diffusers for which one matrix is. Raises `Unconvertible` if it cannot be cut.

    q, k and v are of equal height; a single block of Flux has its feed-forward layer below them. Where the matrix is
    zero but for one block for each, as trainers of single modules write it, each gets its own share of the rank.
    """
    if home.is_swapped:
        return [module.with_up(module.up.halves_swapped())]
    if len(home.paths) == 1:
        return [module]
    rows, inputs = module.up.shape[0], module.down.shape[1]
    height = inputs if len(home.paths) > len("qkv") else rows // len("qkv")
    ends = [height * number for number in range(len(home.paths))] + [rows]
    if len(module.up.shape) != 2 or ends != sorted(set(ends)) or (len(home.paths) == len("qkv") and rows % 3):
        raise Unconvertible(f"its {rows} rows do not match {', '.join(home.paths)}.", name)
    blocks = list(itertools.pairwise(ends))
    if is_sparse(module.up, blocks):
        share = module.rank // len(blocks)
        ranks = [(number * share, (number + 1) * share) for number in range(len(blocks))]
        return [module.cut(*block, *rank) for block, rank in zip(blocks, ranks, strict=True)]
    return [module.cut(*block) for block in blocks]


def is_sparse(up: Lazy, blocks: Sequence[tuple[int, int]]) -> bool:
    """Return whether all but an equal share of the columns is zero in each block of rows."""
    rows, rank = up.shape
    if rank % len(blocks):
        return False
    filled = values.singles(up.raw(), up.dtype).reshape(rows, rank) != 0
    share, is_any = rank // len(blocks), bool(filled.any())
    for number, (first, last) in enumerate(blocks):
        filled[first:last, number * share : (number + 1) * share] = False
    return is_any and not filled.any()


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
            raise Unconvertible(f"{METADATA} in the file has an invalid {key[:80]}.")
        configs[match[1]][match[2]] = value
    return dict(configs)
