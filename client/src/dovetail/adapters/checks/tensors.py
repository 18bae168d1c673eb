"""Checks of the tensors against the config, and of their values; against a base they are checked in `fit`."""

from __future__ import annotations

import re
from collections import defaultdict

from dovetail.adapters import config as configs
from dovetail.adapters.checks.config import scaling
from dovetail.adapters.findings import Finding, failed, skipped, some, warned
from dovetail.adapters.folder import Folder
from dovetail.adapters.header import TensorInfo
from dovetail.adapters.layout import Tensors
from dovetail.adapters.patterns import PatternError
from dovetail.adapters.selection import PatternTable, Selection
from dovetail.adapters.values import FLOATS, has_not_finite, is_all_zero, is_huge

AGAIN = "Save the trained adapter again with save_pretrained() and push it."
LAYER = re.compile(r"(.*?)\.(\d+)\.(.*)")
SCALING = (0.01, 64.0)


def dtype(folder: Folder) -> str | Finding:
    found = {tensor.dtype for tensor in folder.header.tensors.values()}
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
    if folder.config["peft_type"] != "LORA":
        return skipped(f"{folder.config['peft_type']} has no pairs of matrices.")
    for module, parameters in sorted(folder.layout.modules.items()):
        lack = _lacks(parameters, bool(folder.config.get("use_dora")))
        if lack:
            return failed(f"{module} has {some(parameters)}, but no {lack}.", AGAIN, module=module, missing=lack)
        problem = _ranks_differ(module, parameters)
        if problem:
            return problem
    return f"{len(folder.layout.modules)} modules, each with both matrices."


def _lacks(parameters: Tensors, is_dora: bool) -> str:
    if "lora_magnitude_vector" in parameters and not is_dora:
        return "use_dora in the config for its lora_magnitude_vector"
    a, b = (
        ("lora_embedding_A", "lora_embedding_B")
        if any("embedding" in name for name in parameters)
        else ("lora_A.weight", "lora_B.weight")
    )
    wanted = [a, b, "lora_magnitude_vector"] if is_dora else [a, b]
    return next((name for name in wanted if name not in parameters), "")


def _ranks_differ(module: str, parameters: Tensors) -> Finding | None:
    a = parameters.get("lora_A.weight") or parameters["lora_embedding_A"]
    b = parameters.get("lora_B.weight") or parameters["lora_embedding_B"]
    if len(b.shape) < 2 or a.shape[0] != b.shape[1]:
        shapes = f"{list(a.shape)} and {list(b.shape)}"
        return failed(f"{module}: the matrices are {shapes}; the rank of both must agree.", AGAIN, module=module)
    return None


def targets(folder: Folder) -> str | Finding:
    layout, selection = folder.layout, Selection(folder.config)
    if folder.kind is not None and folder.kind.is_prompt:
        if layout.prompt is None:
            return failed("There is no tensor named prompt_embeddings.", AGAIN, missing="prompt_embeddings")
        return "The prompt is here."
    try:
        dropped = sorted(module for module in layout.modules if not selection.picks(module))
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
    idle = (
        sorted(name for name in listed if isinstance(name, str) and name not in ends and not selection.excludes(name))
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
    layout, kind = folder.layout, folder.config["peft_type"]
    if kind == "IA3" or layout.modules == {}:
        zero = [] if layout.prompt is None else [layout.prompt]
        if zero and _is_zero(folder, zero[0]):
            return failed("prompt_embeddings is zero everywhere: it was never trained.", AGAIN)
        return "The values are not all zero."
    effective: dict[str, TensorInfo] = {}
    for module, parameters in layout.modules.items():
        for name in ("lora_B.weight", "lora_embedding_B"):
            if name in parameters:
                effective[module] = parameters[name]
    zeros = sorted(module for module, tensor in effective.items() if _is_zero(folder, tensor))
    if effective and len(zeros) == len(effective) and not folder.config.get("use_dora"):
        return failed(
            "Every lora_B is zero: the adapter changes nothing, as if it had never been trained.",
            AGAIN,
            modules=len(zeros),
        )
    if zeros:
        return warned(
            f"lora_B is zero in {some(zeros)}: they change nothing.",
            "Leave untrained modules out of target_modules.",
            modules=zeros[:20],
        )
    return "No module is zero."


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
