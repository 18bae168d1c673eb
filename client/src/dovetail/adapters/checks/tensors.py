"""Checks of the tensors against the config, and of their values; against a base they are checked in `fit`."""

from __future__ import annotations

import re
from collections import defaultdict

from dovetail.adapters import config as configs
from dovetail.adapters.checks.config import ranked_sides, scaling
from dovetail.adapters.findings import Finding, failed, skipped, some, warned
from dovetail.adapters.folder import Folder
from dovetail.adapters.header import TensorInfo
from dovetail.adapters.kinds import Kind
from dovetail.adapters.layout import Tensors
from dovetail.adapters.patterns import PatternError
from dovetail.adapters.selection import PatternTable, Selection
from dovetail.adapters.values import FLOATS, has_not_finite, is_all_zero, is_huge

AGAIN = "Save the trained adapter again with save_pretrained() and push it."
LAYER = re.compile(r"(.*?)\.(\d+)\.(.*)")
SCALING = (0.01, 64.0)


def dtype(folder: Folder) -> str | Finding:
    places = _places_of_numbers(folder)
    found = {tensor.dtype for name, tensor in folder.header.tensors.items() if not any(part in name for part in places)}
    odd = sorted(found.difference(FLOATS))
    if odd:
        return warned(
            f"There are tensors of dtype {some(odd)}; loaders convert them or fail.",
            "Save in F32, F16 or BF16.",
            dtypes=odd,
        )
    if len(found) > 1:
        return warned(f"The tensors mix {some(found)}.", "Save all of them in one dtype.", dtypes=sorted(found))
    return f"All tensors are {found.pop()}."


def _places_of_numbers(folder: Folder) -> tuple[str, ...]:
    """What the names of tensors hold whose values are whole numbers by right."""
    try:
        return folder.kind.whole_numbers if configs.NAME in folder.files and folder.kind else ()
    except configs.ConfigError:
        return ()  # config.invalid says so


def unused(folder: Folder) -> str | Finding:
    names = folder.layout.unused
    if not names:
        return "Every tensor has a name that PEFT reads."
    return failed(
        f"PEFT reads none of {some(names)}, and would drop them without a word.",
        f"Names must look like base_model.model.<module>.<parameter> of {folder.config['peft_type']}. {AGAIN}",
        tensors=sorted(names)[:20],
    )


def replaces_base(folder: Folder) -> str | Finding:
    names = {**folder.layout.base, **_foreign_embeddings(folder)}
    if not names:
        return "No tensor would overwrite a weight of the base."
    return failed(
        f"{some(names)} would overwrite weights of the base: no adapter parameter, and not in modules_to_save.",
        "Save only the adapter; if a module was trained whole, name it in modules_to_save.",
        tensors=sorted(names)[:20],
    )


def _foreign_embeddings(folder: Folder) -> Tensors:
    """Saved embeddings of the base's own size that hold other values, and tied ones that hold others than their twin.

    Where the weights of the base are not in one file, `load.changed-base` finds out.
    """
    layout, base = folder.layout, folder.base
    untied = {name: one for name, one in layout.tied.items() if not _is_saved_too(folder, one)}
    if base is None or not base.vocabulary or base.weights is None:
        return untied
    same_size = {name: tensor for name, tensor in layout.embeddings.items() if tensor.shape[0] <= base.vocabulary}
    return untied | {name: tensor for name, tensor in same_size.items() if not folder.is_of_base(tensor)}


def _is_saved_too(folder: Folder, tensor: TensorInfo) -> bool:
    return any(folder.holds_alike(tensor, other) for other in folder.layout.saved.values())


def pair(folder: Folder) -> str | Finding:
    kind = folder.kind
    assert kind is not None
    if not folder.layout.modules:
        return skipped(f"{kind.peft_type} has no tensors that come together.")
    for module, parameters in sorted(folder.layout.modules.items()):
        lack = _lacks(parameters, kind, bool(folder.config.get("use_dora")))
        if lack:
            return failed(f"{module} has {some(parameters)}, but no {lack}.", AGAIN, module=module, missing=lack)
        problem = _ranks_differ(module, parameters, kind)
        if problem:
            return problem
    return f"{len(folder.layout.modules)} modules, each with all that belongs together."


def _lacks(parameters: Tensors, kind: Kind, is_dora: bool) -> str:
    if "lora_magnitude_vector" in parameters and not is_dora:
        return "use_dora in the config for its lora_magnitude_vector"
    if "lora_magnitude_vector" in kind.parameters and is_dora and "lora_magnitude_vector" not in parameters:
        return "lora_magnitude_vector"
    for group in kind.together:
        there = [name for name in group if name in parameters]
        if there and len(there) < len(group):
            return next(name for name in group if name not in parameters)
    return ""


def _ranks_differ(module: str, parameters: Tensors, kind: Kind) -> Finding | None:
    sides = {name: (at, length) for name, (at, length) in ranked_sides(kind).items() if name in parameters}
    shapes = {name: parameters[name].shape for name in sides}
    ranks = {shapes[name][at] if len(shapes[name]) >= length else -1 for name, (at, length) in sides.items()}
    if len(ranks) > 1:
        said = " and ".join(str(list(shape)) for shape in shapes.values())
        return failed(f"{module}: the matrices are {said}; the rank of all must agree.", AGAIN, module=module)
    return None


def targets(folder: Folder) -> str | Finding:
    layout, selection = folder.layout, Selection(folder.config)
    kind = folder.kind
    assert kind is not None
    if kind.shared_names and not layout.shared:
        lack = kind.shared_names[0]
        if kind.is_prompt or not layout.modules:
            return failed(f"There is no tensor named {lack}.", AGAIN, missing=lack)
    if kind.is_prompt or (layout.shared and not layout.modules):
        return f"{some(layout.shared)} is here."
    try:
        dropped = sorted(m for m in layout.modules if not (selection.picks(m) or selection.holds_parameters(m)))
    except PatternError as error:
        return failed(
            f"The module names cannot be matched in bounded time: {error}.",
            "List the module names.",
            key="target_modules",
        )
    if dropped:
        return failed(
            f"target_modules does not select {some(dropped)}; PEFT would drop their tensors without a word.",
            "Push the config of the same training run, or add the modules to target_modules.",
            modules=dropped[:20],
        )
    return _each_target_is_met(folder, selection)


def _each_target_is_met(folder: Folder, selection: Selection) -> str | Finding:
    if not folder.layout.modules:
        return failed(f"There is not one {folder.config['peft_type']} tensor in the file.", AGAIN)
    listed = folder.config.get("target_modules")
    ends = {end for module in folder.layout.modules for end in _ends(module)}
    # "all-linear" is saved with the name of a head too that is trained whole.
    idle = (
        sorted(
            name
            for name in listed
            if isinstance(name, str)
            and name not in ends
            and not selection.excludes(name)
            and not selection.is_saved(name)
        )
        if isinstance(listed, list)
        else []
    )
    if idle:
        return failed(
            f"target_modules names {some(idle)}, but the file has no tensor for it: PEFT would leave it untrained.",
            "Push the weights of the same training run, or take the name out of target_modules.",
            modules=idle[:20],
        )
    return f"{len(folder.layout.modules)} modules, all selected by target_modules."


def _ends(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]


def layers(folder: Folder) -> str | Finding:
    by_place: dict[tuple[str, str], set[int]] = defaultdict(set)
    for module in folder.layout.modules:
        if found := LAYER.fullmatch(module):
            by_place[found[1], found[3]].add(int(found[2]))
    if not by_place:
        return skipped("The modules are not in numbered layers.")
    every = set().union(*by_place.values())
    chosen = folder.config.get("layers_to_transform") or folder.config.get("exclude_modules")
    holes = sorted(set(range(min(every), max(every) + 1)) - every)
    uneven = sorted(place[1] for place, found in by_place.items() if found != every)
    if (holes or uneven) and not chosen:
        what = f"layers {some(map(str, holes))} have no tensors" if holes else f"{some(uneven)} is not in every layer"
        return warned(f"Of layers {min(every)} to {max(every)}, {what}; some servers drop such modules in all layers.",
                      "Check that the whole adapter was saved.", layers=holes[:20], modules=uneven[:20])  # fmt: skip
    return f"Layers {min(every)} to {max(every)}, each with the same modules."


def not_finite(folder: Folder) -> str | Finding:
    for name, tensor in folder.header.tensors.items():
        if any(has_not_finite(tensor.dtype, block) for block in folder.blocks(tensor)):
            return failed(
                f"{name} holds NaN or infinity.",
                "Train again (a smaller learning rate, or BF16 in place of F16).",
                tensor=name,
            )
    return f"All {folder.header.parameters:,} values are finite."


def all_zero(folder: Folder) -> str | Finding:
    kind, layout = folder.kind, folder.layout
    assert kind is not None
    effective = _effective(folder, kind)
    zeros = sorted(place for place, tensors in effective.items() if all(_is_zero(folder, one) for one in tensors))
    what = some(kind.effect, 2) or "all it has"
    if effective and len(zeros) == len(effective) and not folder.config.get("use_dora"):
        return failed(
            f"Every {what} is zero: the adapter changes nothing, as if it had never been trained.",
            AGAIN,
            modules=len(zeros),
        )
    if zeros and layout.modules and kind.effect:
        return warned(
            f"{what} is zero in {some(zeros)}: they change nothing.",
            "Leave untrained modules out of target_modules.",
            modules=zeros[:20],
        )
    return "No module is zero." if layout.modules else "The values are not all zero."


def _effective(folder: Folder, kind: Kind) -> dict[str, list[TensorInfo]]:
    """The tensors without which nothing changes, by module, or by their own name where they belong to none."""
    layout = folder.layout
    shared = {name: [tensor] for name, tensor in layout.shared.items() if kind.effect and name.startswith(kind.effect)}
    if shared:
        return shared
    found = {module: [tensor for name, tensor in own.items() if not kind.effect or name in kind.effect]
             for module, own in layout.modules.items()}  # fmt: skip
    return {module: tensors for module, tensors in found.items() if tensors}


def _is_zero(folder: Folder, tensor: TensorInfo) -> bool:
    return all(is_all_zero(tensor.dtype, block) for block in folder.blocks(tensor))


def scale(folder: Folder) -> str | Finding:
    for name, tensor in folder.header.tensors.items():
        if any(is_huge(tensor.dtype, block) for block in folder.blocks(tensor)):
            return warned(
                f"{name} holds values beyond 32,768.",
                "Look at the training: weights of an adapter are small.",
                tensor=name,
            )
    if folder.config["peft_type"] != "LORA":
        return "No value is out of the ordinary."
    return _scaling(folder)


def _scaling(folder: Folder) -> str | Finding:
    config = folder.config
    rank, alpha = configs.whole(config, "r") or 8, configs.number(config, "lora_alpha")
    ranks, alphas = PatternTable(config.get("rank_pattern")), PatternTable(config.get("alpha_pattern"))
    default = 8.0 if alpha is None else alpha
    found = {scaling(config, ranks.get(module, rank), alphas.get(module, default)) for module in folder.layout.modules}
    odd = sorted(value for value in found if not SCALING[0] <= abs(value) <= SCALING[1])
    if odd:
        return warned(
            f"The scaling is {odd[-1]:g} (lora_alpha against r), outside {SCALING[0]:g} to {SCALING[1]:g}.",
            "Check lora_alpha, r and use_rslora against the training run.",
            scaling=odd[-1],
        )
    return f"Scaling {some(f'{value:g}' for value in found)}."
