"""Clean configs for PEFT, written from an allow-list, so that no uploaded config ever reaches a loader; no torch."""

import re

from dovetail.adapters.files.config import Config
from dovetail.adapters.methods.kind import SELECTING, Kind, is_number
from dovetail.adapters.methods.lora import module_of_mask
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.shapes.fit import places, wrapped_parameters
from dovetail.adapters.shapes.selection import PatternTable, Selection

# The key that makes PEFT match exactly one module, for each way in which it matches the keys of a table.
KEYS = {"named": "^{}", "found": "^{}$"}


def clean(folder: Folder) -> Config:
    """Return the config for the loader. The static checks have passed, so types and bounds hold.

    Modules and their numbers are spelled out; no uploaded pattern is left.
    """
    config, kind = folder.config, folder.kind
    assert kind is not None
    modules, parameters = _modules(folder, kind), _parameters(folder)
    # Null is kept, not replaced by a default: PEFT gives it a meaning of its own.
    values = {key: config[key] for key in kind.keys if key not in SELECTING and key in config}
    values = {key: value for key, value in values.items() if key not in kind.tables or value is None}
    return {
        **values,
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
    """Return the paths of the modules: those in the file, or those of the base if the file names none."""
    if folder.layout.modules or folder.base is None:
        selection = Selection(folder.config)
        return sorted(name for name in folder.layout.modules if not selection.holds_parameters(name))
    return [place.path for place in places(folder.config, kind, folder.base.manifest)]


def _parameters(folder: Folder) -> list[str]:
    """Return the paths of the single parameters that the config selects."""
    wrapped = wrapped_parameters(folder.config, folder.base.manifest) if folder.base is not None else {}
    return [f"{path}.{name}" for path, names in wrapped.items() for name in names]


def _of_parameters(folder: Folder, parameters: list[str]) -> Config:
    """Return the keys for single parameters. With them PEFT refuses its default dropout, so the config's is passed."""
    if not folder.config.get("target_parameters"):
        return {}
    dropout = folder.config.get("lora_dropout")
    return {"target_parameters": parameters, "lora_dropout": dropout if is_number(dropout) else 0.0}


def _targets(folder: Folder, kind: Kind, modules: list[str]) -> Config:
    if kind.is_prompt:
        return {}
    if kind.peft_type == "ADAPTION_PROMPT":
        return {"target_modules": folder.config.get("target_modules")}
    keys: Config = {"target_modules": modules}
    if kind.asks_feedforward:
        selection = Selection(folder.config)
        keys["feedforward_modules"] = [module for module in modules if selection.is_feedforward(module)]
    if kind.peft_type == "LORA":
        keys["ensure_weight_tying"] = folder.config.get("ensure_weight_tying") is True
    if kind.peft_type == "LILY":
        keys |= _sharing(folder, modules)
    if kind.peft_type == "ADALORA":
        keys["rank_pattern"] = _masks(folder.config.get("rank_pattern"), modules)
    return keys


def _sharing(folder: Folder, modules: list[str]) -> Config:
    """Return the targets of Lily, whose modules share matrices by the name or pattern that selected them."""
    targets = folder.config.get("target_modules")
    if not isinstance(targets, list):
        is_each = Selection(folder.config).is_all_linear or targets is None
        return {} if is_each else {"target_modules": "|".join(map(re.escape, modules))}
    unused = folder.base.manifest.modules.keys() - set(modules) if folder.base else ()
    excluded = sorted(path for path in unused if any(path == name or path.endswith(f".{name}") for name in targets))
    return {"target_modules": targets, "exclude_modules": excluded or None}


def _exceptions(folder: Folder, kind: Kind, key: str, modules: list[str]) -> dict[str, float]:
    """Return the numbers of the modules that have another one than the default, by their whole paths."""
    how, number = kind.tables[key]
    table, default = PatternTable(folder.config.get(key), how), kind.numbers(folder.config).get(number, -1)
    numbers = {module: table.get(module, default) for module in modules}
    pattern = KEYS.get(how)
    return {
        pattern.format(re.escape(module)) if pattern else module: value
        for module, value in numbers.items()
        if value != default
    }


def _masks(table: object, modules: list[str]) -> dict[str, list[bool]] | None:
    """Return AdaLoRA's masks by its own form of key, without the name of the trained adapter."""
    masks = {module_of_mask(name): mask for name, mask in table.items()} if isinstance(table, dict) else {}
    return {f"{module}.lora_E": masks[module] for module in modules if module in masks} or None
