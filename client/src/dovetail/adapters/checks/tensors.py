"""Checks of the tensors' values, and of their names and shapes against the config; `fit` compares them with a base."""

import re
from collections import defaultdict
from collections.abc import Iterable

from dovetail.adapters.checks.fit import ranked_sides
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import TensorInfo
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.files.values import FLOATS, has_not_finite, is_all_zero, is_huge
from dovetail.adapters.methods import Kind
from dovetail.adapters.readers.folder import Effect, Folder, blocks_of
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned, within
from dovetail.adapters.shapes.fit import LINEAR
from dovetail.adapters.shapes.layout import Tensors
from dovetail.adapters.shapes.selection import Selection

AGAIN = "Save the trained adapter again with save_pretrained() and push it."
LAYER = re.compile(r"(.*?)\.(\d+)\.(.*)")
SCALES = (0.01, 64.0)  # the usual range of alpha / rank
MAGNITUDES = "lora_magnitude_vector"
MANY = 4  # modules saved whole: fewer are heads and embeddings, which adapters often train
PACKED = "PACKED"  # the dtype of blocks of several values in a GGUF


def dtype(folder: Folder) -> str | Finding:
    ignored = folder.whole_numbers
    headers = [source.header() for source in folder.sources]
    pairs = [(name, tensor.dtype) for header in headers for name, tensor in header.tensors.items()]
    dtypes = {dtype for name, dtype in pairs if not any(part in name for part in ignored)}
    odd = sorted(dtypes.difference(FLOATS))
    if odd:
        return warned(
            f"Some tensors have the dtype {some(odd)}; loaders convert them or fail.",
            "Save in F32, F16 or BF16.",
            dtypes=odd,
        )
    if len(dtypes) > 1:
        return warned(f"The tensors mix {some(dtypes)}.", "Save all of them in one dtype.", dtypes=sorted(dtypes))
    return f"All tensors are {some(dtypes) or 'whole numbers'}."


def unused(folder: Folder) -> str | Finding:
    names = folder.layout.unused
    if not names and folder.named:
        return warned(
            f"{some(folder.named)} contain the adapter's name, default: PEFT 0.21 finds them if the adapter "
            "is loaded under that name, as usual; under another name, and in older releases, it silently "
            "drops them.",
            "Save with save_pretrained(), not with state_dict(); on a hub, `dovetail repair` renames the tensors.",
            tensors=folder.named[:20],
        )
    if not names:
        return "Every tensor has a name that PEFT reads."
    return failed(
        f"PEFT reads none of {some(names)} and would silently drop them.",
        f"Names must look like base_model.model.<module>.<parameter> of {folder.config['peft_type']}. {AGAIN}",
        tensors=sorted(names)[:20],
    )


def replaces_base(folder: Folder) -> str | Finding:
    names = {**folder.layout.base, **_foreign_embeddings(folder)}
    if not names:
        return "No tensor would overwrite a weight of the base."
    return failed(
        f"{some(names)} would overwrite weights of the base: they are not parameters of the adapter and "
        "not in modules_to_save.",
        f"Save only the adapter; if a whole module was trained, add it to modules_to_save{_owners(names)}.",
        tensors=sorted(names)[:20],
    )


def _owners(names: Iterable[str]) -> str:
    """Return the modules of these tensors as modules_to_save names them: by the last part of their paths."""
    owners = {name.rpartition(".")[0].rpartition(".")[2] for name in names} - {"", "base_layer"}
    return f": {some(map(repr, owners))}" if owners else ""


def _foreign_embeddings(folder: Folder) -> Tensors:
    """Return saved embeddings of the base's size whose values differ from the base's or from their tied table's.

    If the weights of the base are not in one file, `load.changed-base` detects the difference.
    """
    layout, base = folder.layout, folder.base
    untied = {name: tensor for name, tensor in layout.tied.items() if not _is_saved_too(folder, tensor)}
    if base is None or base.weights is None:
        return untied
    same_size = {name: tensor for name, tensor in layout.embeddings.items() if tensor.shape[0] <= base.vocabulary}
    return untied | {name: tensor for name, tensor in same_size.items() if not folder.is_of_base(tensor)}


def _is_saved_too(folder: Folder, tensor: TensorInfo) -> bool:
    return any(folder.holds_alike(tensor, other) for other in folder.layout.saved.values())


def pair(folder: Folder) -> str | Finding:
    kind = folder.kind
    assert kind is not None
    if not folder.layout.modules:
        return skipped(f"{kind.peft_type} has no tensors that belong together.")
    for module, parameters in sorted(folder.layout.modules.items()):
        lack = _lacks(parameters, kind, bool(folder.config.get("use_dora")))
        if lack:
            fix = f"Set use_dora to true in {configs.NAME}." if lack.startswith("use_dora") else AGAIN
            return failed(f"{module} has {some(parameters)}, but no {lack}.", fix, module=module, missing=lack)
        problem = _ranks_differ(module, parameters, kind)
        if problem:
            return problem
    return f"{len(folder.layout.modules)} modules, each complete."


def _lacks(parameters: Tensors, kind: Kind, is_dora: bool) -> str:
    if "lora_magnitude_vector" in parameters and not is_dora:
        return "use_dora in the config for its lora_magnitude_vector"
    if "lora_magnitude_vector" in kind.parameters and is_dora and "lora_magnitude_vector" not in parameters:
        return "lora_magnitude_vector"
    for group in kind.together:
        present = [name for name in group if name in parameters]
        if present and len(present) < len(group):
            return next(name for name in group if name not in parameters)
    return ""


def _ranks_differ(module: str, parameters: Tensors, kind: Kind) -> Finding | None:
    sides = {name: (at, length) for name, (at, length) in ranked_sides(kind).items() if name in parameters}
    shapes = {name: parameters[name].shape for name in sides}
    ranks = {shapes[name][at] if len(shapes[name]) >= length else -1 for name, (at, length) in sides.items()}
    if len(ranks) > 1:
        shape_text = " and ".join(str(list(shape)) for shape in shapes.values())
        return failed(f"{module}: the matrices are {shape_text}; their ranks must be equal.", AGAIN, module=module)
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
            f"target_modules does not select {some(dropped)}; PEFT would silently drop their tensors.",
            f"Push the config of the same training run{_addition(folder, dropped)}.",
            modules=dropped[:20],
        )
    return _each_target_is_met(folder, selection)


def _addition(folder: Folder, dropped: list[str]) -> str:
    """Return the names to add to target_modules, where a list of names alone selects the modules."""
    names = folder.config.get("target_modules")
    ends = {module.rpartition(".")[2] for module in dropped}
    narrowed = any(folder.config.get(key) for key in ("layers_to_transform", "exclude_modules"))
    if narrowed or not isinstance(names, list) or ends & set(map(str, names)) or any(end.isdigit() for end in ends):
        return ", or select them with target_modules and its related keys"
    return f", or add {some(map(repr, ends))} to target_modules"


def _each_target_is_met(folder: Folder, selection: Selection) -> str | Finding:
    if not folder.layout.modules:
        return failed(f"The file has no {folder.config['peft_type']} tensors.", AGAIN)
    value = folder.config.get("target_modules")
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    ends = {end for module in folder.layout.modules for end in _ends(module)}
    # "all-linear" is also saved with the name of a head that is trained whole.
    idle = sorted(n for n in names if n not in ends and not selection.excludes(n) and not selection.is_saved(n))
    base = folder.base
    of_base = {end for path in (base.manifest.modules if base else ()) if selection.picks(path) for end in _ends(path)}
    there = [name for name in idle if base is None or name in of_base]
    if there:
        message = (
            f"target_modules names {some(there)}, but the file has no tensors for it: PEFT would leave it untrained"
        )
        fix = f"Push the weights of the same training run, or remove {some(map(repr, there))} from target_modules."
        if base is None:
            return warned(f"{message}, if the base has such a module.", fix, modules=there[:20])
        return failed(f"{message}.", fix, modules=there[:20])
    linear = [path for path, module in (base.manifest.modules if base else {}).items() if module.kind in LINEAR]
    whole = [path for path in linear if selection.is_saved(path)]
    if len(whole) >= MANY and 2 * len(whole) >= len(linear):
        return warned(
            f"modules_to_save holds {len(whole):,} of the {len(linear):,} linear modules of the base whole: that is a "
            "fine-tuned model, which no server loads beside other adapters.",
            "Train these modules with target_modules, or publish the merged model.",
            key="modules_to_save",
        )
    union = (
        f" It also names {some(idle)}, which the base does not have: such lists serve several bases." if idle else ""
    )
    return f"{len(folder.layout.modules)} modules, all selected by target_modules.{union}"


def _ends(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]


def layers(folder: Folder) -> str | Finding:
    by_place: dict[tuple[str, str], set[int]] = defaultdict(set)
    for module in folder.layout.modules:
        if match := LAYER.fullmatch(module):
            by_place[match[1], match[3]].add(int(match[2]))
    if not by_place:
        return skipped("The modules are not in numbered layers.")
    every = set().union(*by_place.values())
    chosen = folder.config.get("layers_to_transform") or folder.config.get("exclude_modules")
    holes = sorted(set(range(min(every), max(every) + 1)) - every)
    uneven = sorted(place[1] for place, numbers in by_place.items() if numbers != every)
    if (holes or uneven) and not chosen:
        what = f"layers {some(map(str, holes))} have no tensors" if holes else f"{some(uneven)} is not in every layer"
        return warned(
            f"In layers {min(every)} to {max(every)}, {what}; some servers drop such modules in all layers.",
            "Check that the whole adapter was saved.",
            layers=holes[:20],
            modules=uneven[:20],
        )
    return f"Layers {min(every)} to {max(every)}, each with the same modules."


def not_finite(folder: Folder) -> str | Finding:
    if not folder.sources:
        return skipped("Its values were not read.")
    packed = 0
    for source in folder.sources:
        for name, tensor, block in source.blocks():
            if has_not_finite(tensor.dtype, block):
                fix = "Train again with a smaller learning rate, or in BF16 instead of F16."
                return within(failed(f"{name} contains NaN or infinity.", fix, tensor=name), source.place)
        packed += sum(tensor.dtype == PACKED for tensor in source.header().tensors.values())
    unread = f" {packed:,} tensors are packed and were not read." if packed else ""
    return f"All values are finite.{unread}"


def all_zero(folder: Folder) -> str | Finding:
    if not folder.sources:
        return skipped("Its values were not read.")
    effects = folder.effects
    idle: list[str] = []
    for effect in effects:
        groups = effect.tensors.items()
        zeros = sorted(name for name, tensors in groups if all(_is_zero(effect, tensor) for tensor in tensors))
        if effect.tensors and len(zeros) == len(effect.tensors) and not effect.may_be_zero:
            refusal = failed(
                f"Every {effect.what} is zero: the adapter changes nothing, as if untrained.",
                f"{folder.again} Save it after training.",
                tensors=sum(map(len, effect.tensors.values())),
            )
            return within(refusal, effect.source.place)
        if effect.is_by_module:
            idle += zeros
    if dead := _dead_magnitudes(folder):
        return warned(
            f"lora_magnitude_vector is zero in {some(dead)}: DoRA scales weights by it, so these modules "
            "output only their bias.",
            "Save the adapter again after training; an untrained vector equals the norm of the base's weights.",
            modules=dead[:20],
        )
    if idle:
        return warned(
            f"{effects[0].what} is zero in {some(idle)}: these modules change nothing.",
            "Leave untrained modules out of target_modules.",
            modules=idle[:20],
        )
    return "Not everything is zero." if effects else skipped("This method has no tensor that must be non-zero.")


def _dead_magnitudes(folder: Folder) -> list[str]:
    """Return the modules whose magnitudes of DoRA are all zero."""
    if type(folder) is not Folder:  # only PEFT's reader sorts tensors by module and parameter
        return []
    pairs = ((module, own[MAGNITUDES]) for module, own in folder.layout.modules.items() if MAGNITUDES in own)
    effect = Effect(MAGNITUDES, {}, folder.sources[0])
    return sorted(module for module, tensor in pairs if _is_zero(effect, tensor))


def _is_zero(effect: Effect, tensor: TensorInfo) -> bool:
    blocks = blocks_of(effect.source.opener, tensor)
    return tensor.dtype != PACKED and all(is_all_zero(tensor.dtype, block) for block in blocks)


def scale(folder: Folder) -> str | Finding:
    if not folder.sources:
        return skipped("Its values were not read.")
    for source in folder.sources:
        for name, tensor, block in source.blocks():
            if is_huge(tensor.dtype, block):
                fix = "Check the training: weights of an adapter are small."
                return within(warned(f"{name} has values beyond 32,768.", fix, tensor=name), source.place)
    scales = folder.scales
    least, most = SCALES
    odd = {module: value for module, value in scales.items() if not least <= abs(value) <= most}
    if odd:
        module, value = max(odd.items(), key=lambda item: item[1])
        return warned(
            f"{module} is scaled by {value:g} (alpha against rank), outside {least:g} to {most:g}.",
            "Check alpha, rank and use_rslora against the training run.",
            scaling=value,
        )
    return f"Scaling {some({f'{value:g}' for value in scales.values()})}." if scales else "No value is out of range."
