"""How a clean config is written: from an allow-list, so that no uploaded config ever reaches a loader."""

from __future__ import annotations

import re
from typing import Any

from dovetail.adapters.accepts import is_number
from dovetail.adapters.fit import places, wrapped_parameters
from dovetail.adapters.folder import Folder
from dovetail.adapters.kind import SELECTING, Kind
from dovetail.adapters.methods.lora import module_of_mask
from dovetail.adapters.selection import PatternTable, Selection

# How PEFT has to be told of one module so that it means this one alone, for each way in which it asks a table.
KEYS = {"named": "^{}", "found": "^{}$"}


def clean(folder: Folder) -> dict[str, Any]:
    """The config a loader gets. The static checks have passed: types and bounds hold.

    Modules and their numbers are spelled out; no pattern of a stranger is left.
    """
    config, kind = folder.config, folder.kind
    assert kind is not None
    modules, parameters = _modules(folder, kind), _parameters(folder)
    # Null is no default: what PEFT makes of it, it shall make of it here too.
    taken = {key: config[key] for key in kind.keys if key not in SELECTING and key in config}
    taken = {key: value for key, value in taken.items() if key not in kind.tables or value is None}
    return {
        **taken,
        **{key: _exceptions(folder, kind, key, modules + parameters) for key in kind.tables if config.get(key)},
        **_targets(folder, kind, modules),
        **_of_parameters(folder, parameters),
        **kind.fixed,
        "peft_type": kind.peft_type,
        "task_type": config.get("task_type"),
        "base_model_name_or_path": folder.base_id,
        "inference_mode": kind.peft_type != "ADAPTION_PROMPT",  # which has no such mode
        "modules_to_save": config.get("modules_to_save") or None,
    }


def _modules(folder: Folder, kind: Kind) -> list[str]:
    """The modules by their paths: those in the file, or those of the base where nothing in the file names them."""
    if folder.layout.modules or folder.base is None:
        selection = Selection(folder.config)
        return sorted(name for name in folder.layout.modules if not selection.holds_parameters(name))
    return [place.path for place in places(folder.config, kind, folder.base.manifest)]


def _parameters(folder: Folder) -> list[str]:
    """The single parameters by their paths."""
    found = wrapped_parameters(folder.config, folder.base.manifest) if folder.base is not None else {}
    return [f"{path}.{name}" for path, names in found.items() for name in names]


def _of_parameters(folder: Folder, parameters: list[str]) -> dict[str, Any]:
    """With them PEFT refuses to load any dropout, so it is told what the config says."""
    if not folder.config.get("target_parameters"):
        return {}
    dropout = folder.config.get("lora_dropout")
    return {"target_parameters": parameters, "lora_dropout": dropout if is_number(dropout) else 0.0}


def _targets(folder: Folder, kind: Kind, modules: list[str]) -> dict[str, Any]:
    if kind.is_prompt:
        return {}
    if kind.peft_type == "ADAPTION_PROMPT":
        return {"target_modules": folder.config.get("target_modules")}
    found: dict[str, Any] = {"target_modules": modules}
    if kind.asks_feedforward:
        selection = Selection(folder.config)
        found["feedforward_modules"] = [module for module in modules if selection.is_feedforward(module)]
    if kind.peft_type == "LORA":
        found["ensure_weight_tying"] = folder.config.get("ensure_weight_tying") is True
    if kind.peft_type == "LILY":
        found |= _sharing(folder, modules)
    if kind.peft_type == "ADALORA":
        found["rank_pattern"] = _masks(folder.config.get("rank_pattern"), modules)
    return found


def _sharing(folder: Folder, modules: list[str]) -> dict[str, Any]:
    """For Lily, whose modules share what they were named by: a name of the list, or one pattern for all of them."""
    named = folder.config.get("target_modules")
    if not isinstance(named, list):
        is_each = Selection(folder.config).is_all_linear or named is None
        return {} if is_each else {"target_modules": "|".join(map(re.escape, modules))}
    others = folder.base.manifest.modules.keys() - set(modules) if folder.base else ()
    left = sorted(path for path in others if any(path == name or path.endswith(f".{name}") for name in named))
    return {"target_modules": named, "exclude_modules": left or None}


def _exceptions(folder: Folder, kind: Kind, key: str, modules: list[str]) -> dict[str, float]:
    """Whole paths of the modules whose number is not the default."""
    how, number = kind.tables[key]
    numbers, default = PatternTable(folder.config.get(key), how), kind.numbers(folder.config).get(number, -1)
    found = {module: numbers.get(module, default) for module in modules}
    told = KEYS.get(how)
    return {
        told.format(re.escape(module)) if told else module: value for module, value in found.items() if value != default
    }


def _masks(table: object, modules: list[str]) -> dict[str, list[bool]] | None:
    """AdaLoRA's own form of key, without the name of the adapter that trained it."""
    masks = {module_of_mask(name): mask for name, mask in table.items()} if isinstance(table, dict) else {}
    return {f"{module}.lora_E": masks[module] for module in modules if module in masks} or None
