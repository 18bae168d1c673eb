"""Merges two or more LoRAs of one base into one, as PEFT's add_weighted_adapter does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.convert import Conversion, read
from dovetail.adapters.convert import peft as peft_format
from dovetail.adapters.convert.lora import Lora, Module, Unconvertible, only, targets_of
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats.bases import relation
from dovetail.adapters.merge import heads
from dovetail.adapters.merge.modules import AVERAGE, Recipe, merged

METHODS = ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties")
PRUNING = ("ties", "dare_linear", "dare_ties")
MAX_SOURCES, MAX_RANK, MAX_WEIGHT = 16, 1024, 1000.0


def head_of(text: str, names: Sequence[str]) -> int:
    """Return `Recipe.head` for "", "average", or an adapter's name or number. Raises `Unconvertible`."""
    if text in ("", "average"):
        return AVERAGE if text else 0
    if text.isdecimal() and 0 < int(text) <= len(names):
        return int(text)
    if text not in names:
        reason = f"The head is that of one of the adapters ({', '.join(names)}), or their average: not {text[:80]!r}."
        raise Unconvertible(reason, option="head")
    return names.index(text) + 1


@dataclass(frozen=True)
class Source:
    """One adapter to merge, the words that name it in refusals, and the names of its labels where they are known."""

    name: str
    files: Mapping[str, Opener]
    weight: float = 1.0
    labels: Sequence[str] = ()


def merge(sources: Sequence[Source], recipe: Recipe) -> Conversion:
    """Return the files of the merged adapter. Raises `Unconvertible` with the reason and the module's name."""
    check(sources, recipe)
    loras = [_read(source) for source in sources]
    for source, lora in zip(sources[1:], loras[1:], strict=True):
        _require_alike(sources[0], loras[0], source, lora)
    weights = [source.weight for source in sources]
    paths = sorted({path for lora in loras for path in lora.modules})
    modules = {path: merged(path, [lora.modules.get(path) for lora in loras], weights, recipe) for path in paths}
    with_head, head = heads.merged(sources, loras, recipe.head)
    config = {**_config(loras, modules), "modules_to_save": with_head.config.get("modules_to_save")}
    lora = Lora(config, modules, head=head)
    return Conversion("merge", peft_format.write(lora))


def check(sources: Sequence[Source], recipe: Recipe) -> None:
    """Raise Unconvertible for a method or number that cannot be."""
    if recipe.method not in METHODS:
        raise Unconvertible(f"There is no method {recipe.method!r}; there are {', '.join(METHODS)}.", option="method")
    if not 2 <= len(sources) <= MAX_SOURCES:
        raise Unconvertible(f"A merge takes 2 to {MAX_SOURCES} adapters, not {len(sources)}.", option="others")
    for source in sources:
        check_weight(source.name, source.weight)
    if not 0 < recipe.density <= 1:
        raise Unconvertible("The density is the share of values to keep: more than 0, at most 1.", option="density")
    if recipe.density != 1 and recipe.method not in PRUNING:
        raise Unconvertible(f"{recipe.method} drops no values, so it takes no density.", option="density")
    if not AVERAGE <= recipe.head <= len(sources):
        raise Unconvertible("The head is that of one of the adapters, or their average.", option="head")
    if recipe.rank and recipe.method != "svd":
        raise Unconvertible("Only svd takes a rank; the other methods have one of their own.", option="rank")
    if not 0 <= recipe.rank <= MAX_RANK:
        raise Unconvertible(f"A rank is 1 to {MAX_RANK:,}.", option="rank")


def check_weight(name: str, weight: float) -> None:
    """Raise Unconvertible for a weight that cannot be; `name` is that of the source."""
    if not math.isfinite(weight) or not 0 < abs(weight) <= MAX_WEIGHT:
        reason = f"The weight of {name} must be a number other than 0, at most {MAX_WEIGHT:g}."
        raise Unconvertible(reason, option="weight")


def _read(source: Source) -> Lora:
    try:
        family, loras = read(source.files)
        lora = only(loras, "a merge")
    except Unconvertible as refusal:
        raise Unconvertible(f"{source.name}: {refusal}") from refusal
    if family != "peft":
        raise Unconvertible(f"{source.name} is in the format {family}; convert it to peft first.")
    if lora.is_dora:
        raise Unconvertible(f"{source.name} is a DoRA, whose magnitudes cannot be added.")
    return lora


def _require_alike(first: Source, lora: Lora, source: Source, other: Lora) -> None:
    names = [configs.text(one.config, "base_model_name_or_path") or "" for one in (lora, other)]
    if not all(names) or relation(*names) not in ("same", "alias"):
        told = [name or "no base" for name in names]
        raise Unconvertible(f"{first.name} belongs to {told[0]}, and {source.name} to {told[1]}: nothing can be added.")
    for key in ("task_type", "fan_in_fan_out"):
        if (lora.config.get(key) or None) != (other.config.get(key) or None):
            raise Unconvertible(f"{first.name} and {source.name} have another {key} in their configs.")
    for path in lora.modules.keys() & other.modules.keys():
        one, two = lora.modules[path], other.modules[path]
        if one.down.shape[1:] != two.down.shape[1:] or one.up.shape[0] != two.up.shape[0]:
            raise Unconvertible(f"{first.name} and {source.name} adapt it in unlike shapes.", path)


def _config(loras: Sequence[Lora], modules: Mapping[str, Module]) -> Config:
    """Return the first config with the ranks of the merge; the scale of each module is 1."""
    ranks = {path: module.rank for path, module in modules.items()}
    rank = max(ranks.values(), key=lambda rank: (list(ranks.values()).count(rank), -rank))
    others = {path: number for path, number in ranks.items() if number != rank}
    dropped = ("layers_to_transform", "layers_pattern", "exclude_modules")
    return {
        **{key: value for key, value in loras[0].config.items() if key not in dropped},
        "r": rank, "lora_alpha": rank, "rank_pattern": others, "alpha_pattern": others, "use_rslora": False,
        "init_lora_weights": True, "inference_mode": True, "target_modules": _targets(loras, modules),
    }  # fmt: skip


def _targets(loras: Sequence[Lora], modules: Mapping[str, Module]) -> object:
    """Return what all configs select if it is the same, else exactly these modules."""
    selections = [
        {key: lora.config.get(key) for key in ("target_modules", "layers_to_transform", "exclude_modules")}
        for lora in loras
    ]
    is_same = all(selection == selections[0] for selection in selections[1:])
    return selections[0]["target_modules"] if is_same and _is_whole(selections[0]) else targets_of(modules)


def _is_whole(selection: Mapping[str, Any]) -> bool:
    return not selection["layers_to_transform"] and not selection["exclude_modules"]


__all__ = ["METHODS", "Recipe", "Source", "Unconvertible", "check", "head_of", "merge"]
