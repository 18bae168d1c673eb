"""Loads compositions of the adapters library into a model, under names of our own; `composed` runs them.

As with a single adapter, the library never reads an uploaded file: blocks come from an allow-list, each adapter and
fusion is rewritten, and the names in the files are replaced.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dovetail.adapters.readers.composition import FUSION_KEYS, FUSION_WEIGHTS, Composition, Fusion
from dovetail.adapters.readers.library import FUSION_CONFIG, Block
from dovetail.adapters.shapes.fit import Shape
from workers.engine.models import library

LAYER = "adapter_fusion_layer"
MIXED_NAME = "zq_fusion"


def expected(model: Any, folder: Composition) -> dict[str, Shape]:
    """Return the shape of every tensor that the parts need on this model, by the part's folder and the file's name."""
    shapes: dict[str, Shape] = {}
    names = calls(folder)
    for place, member in folder.members.items():
        needed = library.expected(model, member, names[place])
        shapes.update({f"{place}/{name}": shape for name, shape in needed.items()})
    for place, fusion in folder.fusions.items():
        own_name = names[f"{fusion.name}/"]
        model.add_adapter_fusion(_fused(folder, fusion), _config(fusion), name=own_name)
        start = "" if any(name.startswith(f"{model.base_model_prefix}.") for name in fusion.tensors) else _prefix(model)
        for name, tensor in _layers(model, own_name).items():
            file_name = name.replace(f"{LAYER}.{own_name}.", f"{LAYER}.{fusion.name}.").removeprefix(start)
            shapes[f"{place}/{file_name}"] = tuple(tensor.shape)
    return shapes


def calls(folder: Composition) -> dict[str, str]:
    """Return our own names by the files' names; a fusion's key ends in a slash, which no adapter's name does.

    No name is a prefix of another: the library finds the tensors of a fusion by the prefix of their names.
    """
    names = {name: f"{library.NAME}_{at:02}" for at, name in enumerate(folder.members)}
    return names | {f"{name}/": f"{MIXED_NAME}_{at:02}" for at, name in enumerate(folder.setup.fusions())}


def write(model: Any, folder: Composition, work: Path) -> dict[str, Path]:
    """Write the files that the library will load, each part in a folder of its own, and return the folders."""
    names = calls(folder)
    folders = {place: library.write(model, part, work, names[place]) for place, part in folder.members.items()}
    return folders | {f"{f.name}/": _write(model, folder, f, work, names) for f in folder.fusions.values()}


def _write(model: Any, folder: Composition, fusion: Fusion, work: Path, names: dict[str, str]) -> Path:
    own_name = names[f"{fusion.name}/"]
    loader = work / f"loader-{own_name}"
    loader.mkdir()
    config = {"config": _config(fusion), "adapter_names": _fused(folder, fusion), "version": library.VERSION}
    library.write_config(loader / FUSION_CONFIG, model, own_name, config)
    own = re.compile(rf"((?:^|\.){LAYER}\.){re.escape(fusion.name)}\.")
    is_whole = any(name.startswith(_prefix(model)) for name in fusion.tensors)

    def rename(name: str) -> str:
        return ("" if is_whole else _prefix(model)) + own.sub(rf"\g<1>{own_name}.", name)

    library.rewrite(fusion, FUSION_WEIGHTS, fusion.header, loader, rename)
    return loader


def load(model: Any, folder: Composition, loaders: dict[str, Path]) -> list[str]:
    """Load every part as the library does; return the keys that it reports as missing or unexpected, with the part."""
    names, odd = calls(folder), []
    for place, member in folder.members.items():
        odd += [f"{place}: {name}" for name in library.load(model, member, loaders[place], names[place])]
    for fusion in folder.fusions.values():
        odd += [f"{fusion.name}: {name}" for name in _load(model, loaders[f"{fusion.name}/"])]
    model.eval()
    return odd


def _load(model: Any, loader: Path) -> list[str]:
    """Use the loader of load_adapter_fusion(), which itself does not return missing and unexpected keys."""
    from adapters.loading import AdapterFusionLoader

    loading_info: dict[str, list[str]] = {}
    AdapterFusionLoader(model, use_safetensors=True).load(str(loader), loading_info=loading_info, set_active=False)
    return sorted(loading_info.get("missing_keys", [])) + sorted(loading_info.get("unexpected_keys", []))


def switch(model: Any, folder: Composition, setup: Block | None) -> None:
    """Activate this set-up, or none; the head of the whole set-up stays active."""
    names = calls(folder)
    model.set_active_adapters(_built(setup, names) if setup else None)
    member = folder.head_member
    head = next((names[place] for place, part in folder.members.items() if part is member), None)
    model.active_head = head


def _built(block: Block, names: dict[str, str]) -> Any:
    from adapters import composition

    children = [names[c] if isinstance(c, str) else _built(c, names) for c in block.children]
    numbers = list(block.numbers)
    make: dict[str, Callable[[], Any]] = {
        "Stack": lambda: composition.Stack(*children),
        "Parallel": lambda: composition.Parallel(*children),
        "Fuse": lambda: composition.Fuse(*children, name=names[f"{block.name}/"]),
        "Average": lambda: composition.Average(*children, weights=numbers),
        "Split": lambda: composition.Split(*children, splits=numbers),
        "BatchSplit": lambda: composition.BatchSplit(*children, batch_sizes=numbers),
    }
    return make[block.kind]()


def _fused(folder: Composition, fusion: Fusion) -> list[str]:
    names = calls(folder)
    return [names[name] for name in folder.setup.fusions()[fusion.name]]


def _config(fusion: Fusion) -> Any:
    """Return the config of a fusion, rewritten; "static" and "dynamic" name configs of the library."""
    method = fusion.method
    if isinstance(method, str):
        return method
    return {**{key: method[key] for key in FUSION_KEYS if method.get(key) is not None}, "dropout_prob": None}


def _prefix(model: Any) -> str:
    return f"{model.base_model_prefix}."


def _layers(model: Any, own_name: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if f".{LAYER}.{own_name}." in name}
