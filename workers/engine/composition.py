"""Loads compositions of the adapters library into a model, under names of our own; running them is `composed`.

As with a single adapter, nothing of the uploaded files reaches the library as it is: blocks come from an allow-list,
each adapter and fusion is written anew, and the names in the files are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dovetail.adapters.fit import Shape
from dovetail.adapters.library.composition import FUSION_KEYS, FUSION_WEIGHTS, Block, Composition, Fusion
from dovetail.adapters.library.contents import FUSION_CONFIG
from workers.engine import library

LAYER = "adapter_fusion_layer"
MIXED_NAME = "zq_fusion"


def expected(model: Any, folder: Composition) -> dict[str, Shape]:
    """Every tensor that the parts need on this model, by the folder of the part and the name in its file."""
    found: dict[str, Shape] = {}
    names = calls(folder)
    for place, member in folder.members.items():
        wanted = library.expected(model, member, names[place])
        found.update({f"{place}/{name}": shape for name, shape in wanted.items()})
    for place, fusion in folder.fusions.items():
        called = names[f"{fusion.name}/"]
        model.add_adapter_fusion(_fused(folder, fusion), _config(fusion), name=called)
        start = "" if any(name.startswith(f"{model.base_model_prefix}.") for name in fusion.tensors) else _prefix(model)
        for name, tensor in _layers(model, called).items():
            shown = name.replace(f"{LAYER}.{called}.", f"{LAYER}.{fusion.name}.").removeprefix(start)
            found[f"{place}/{shown}"] = tuple(tensor.shape)
    return found


def calls(folder: Composition) -> dict[str, str]:
    """The names of our own, by the files' names; those of fusions by a name with a slash, which no adapter has.

    No name begins another one: the library finds what belongs to a fusion by the beginning of its name.
    """
    names = {name: f"{library.NAME}_{at:02}" for at, name in enumerate(folder.members)}
    return names | {f"{name}/": f"{MIXED_NAME}_{at:02}" for at, name in enumerate(folder.setup.fusions())}


def write(model: Any, folder: Composition, work: Path) -> dict[str, Path]:
    """Writes what the library is to load, each part in a folder of its own, and returns the folders."""
    names = calls(folder)
    found = {place: library.write(model, part, work, names[place]) for place, part in folder.members.items()}
    return found | {f"{f.name}/": _write(model, folder, f, work, names) for f in folder.fusions.values()}


def _write(model: Any, folder: Composition, fusion: Fusion, work: Path, names: dict[str, str]) -> Path:
    called = names[f"{fusion.name}/"]
    loader = work / f"loader-{called}"
    loader.mkdir()
    said = {"config": _config(fusion), "adapter_names": _fused(folder, fusion), "version": library.VERSION}
    library.write_config(loader / FUSION_CONFIG, model, called, said)
    own = re.compile(rf"((?:^|\.){LAYER}\.){re.escape(fusion.name)}\.")
    is_whole = any(name.startswith(_prefix(model)) for name in fusion.tensors)

    def rename(name: str) -> str:
        return ("" if is_whole else _prefix(model)) + own.sub(rf"\g<1>{called}.", name)

    library.rewrite(fusion, FUSION_WEIGHTS, fusion.header, loader, rename)
    return loader


def load(model: Any, folder: Composition, loaders: dict[str, Path]) -> list[str]:
    """Loads every part as the library does; returns what it says is missing or left over, by the parts' own names."""
    names, odd = calls(folder), []
    for place, member in folder.members.items():
        odd += [f"{place}: {name}" for name in library.load(model, member, loaders[place], names[place])]
    for fusion in folder.fusions.values():
        odd += [f"{fusion.name}: {name}" for name in _load(model, loaders[f"{fusion.name}/"])]
    model.eval()
    return odd


def _load(model: Any, loader: Path) -> list[str]:
    """By the loader that load_adapter_fusion() uses, which does not hand on what is missing or left over."""
    from adapters.loading import AdapterFusionLoader

    said: dict[str, list[str]] = {}
    AdapterFusionLoader(model, use_safetensors=True).load(str(loader), loading_info=said, set_active=False)
    return sorted(said.get("missing_keys", [])) + sorted(said.get("unexpected_keys", []))


def switch(model: Any, folder: Composition, setup: Block | None) -> None:
    """Makes this set-up active, or none, and leaves the head in place that the whole one has."""
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
    """The config of a fusion, written anew; "static" and "dynamic" are the library's own."""
    said = fusion.method
    if isinstance(said, str):
        return said
    return {**{key: said[key] for key in FUSION_KEYS if said.get(key) is not None}, "dropout_prob": None}


def _prefix(model: Any) -> str:
    return f"{model.base_model_prefix}."


def _layers(model: Any, called: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if f".{LAYER}.{called}." in name}
