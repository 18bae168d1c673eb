"""What is checked of formats that no engine here runs, and said of them; how they are read is in ../foreign.py."""

from __future__ import annotations

from dovetail.adapters import config as configs
from dovetail.adapters import fields, gguf
from dovetail.adapters.checks import card, files, privacy
from dovetail.adapters.checks.fit import NO_BASE
from dovetail.adapters.findings import Check, Finding, failed, skipped, some, warned
from dovetail.adapters.fit import LINEAR
from dovetail.adapters.folder import blocks_of
from dovetail.adapters.foreign import TITLES, Foreign
from dovetail.adapters.formats import PICKLES, detect
from dovetail.adapters.header import HeaderError
from dovetail.adapters.parts import EFFECT, path_in_base, ranks_of, widths_of
from dovetail.adapters.unpickling import Refused
from dovetail.adapters.values import has_not_finite, is_all_zero

TO_PEFT = "Push the PEFT adapter as well where there is one: that is run and measured."
AGAIN = "Save it again with the program that trained it, and push the new file."
MAX_RANK = 4096
SCALES = (0.01, 64.0)


# --- files -----------------------------------------------------------------------------------------------------------
def pickle(folder: Foreign) -> str | Finding:
    found = files.pickle(folder)
    own = folder.weights.endswith(PICKLES)
    if isinstance(found, Finding) and found.outcome == "warned" and own:
        return warned(f"{folder.weights} is a pickle of tensors; it was not opened.", files.TO_SAFETENSORS)
    return found


def missing(folder: Foreign) -> str | Finding:
    if folder.weights in folder.files:
        return f"{folder.weights} is here, {folder.sizes[folder.weights]:,} bytes."
    return failed(f"There is no {folder.weights} beside {configs.NAME}.", "Push the weights too.")


def header(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped(f"{folder.weights} is an archive, which was not unpacked.")
    try:
        found = folder.header
    except (HeaderError, gguf.GgufError, Refused) as error:
        return failed(f"{folder.weights} is not sound: {error}.", AGAIN)
    if not found.tensors:
        return failed(f"{folder.weights} holds no tensor at all.", AGAIN)
    return f"{len(found.tensors):,} tensors with {found.parameters:,} values; they lie in the file as its header says."


def ambiguous(folder: Foreign) -> str | Finding:
    """Trainers of images write a file every few steps, all with their adapter at the top."""
    beside = [path for _, _, path in detect(folder.files) if path.count("/") == folder.weights.count("/")]
    others = [path for path in beside if path not in (folder.weights, configs.NAME)]
    if not others:
        return "There is one set of weights."
    return warned(
        f"{some(others)} {'is an adapter' if len(others) == 1 else 'are adapters'} as well: only {folder.weights} was "
        "checked.",
        "Push each in a repository of its own, or the last one alone.",
        files=others[:20],
    )


def invalid(folder: Foreign) -> str | Finding:
    if configs.NAME not in folder.files:
        return "This format has no config."
    try:
        config = folder.config
    except configs.ConfigError as error:
        return failed(f"{configs.NAME} cannot be used: {error}.", f"{AGAIN}")
    problem = _mlx(config) if folder.family == "mlx" else None
    return problem or f"It is a JSON object with {len(config)} keys."


def _mlx(config: configs.Config) -> Finding | None:
    """What MLX would refuse in its config."""
    numbers = config.get("lora_parameters") or {}
    for part, rules in ((config, fields.MLX), (numbers, fields.MLX_LORA)):
        if isinstance(part, dict) and (wrong := fields.wrong(part, rules)):
            return failed(f"{fields.said(part, wrong[0])}, which is not a value that MLX accepts.", AGAIN, keys=wrong)
    if (kind := configs.text(config, "fine_tune_type")) not in (None, "lora", "dora"):
        return failed(
            f"fine_tune_type is {kind[:40]!r}: that is a whole model, no adapter.", "Train with --fine-tune-type lora."
        )
    if not isinstance(numbers, dict) or type(numbers.get("rank")) is not int:
        return failed(f"{configs.NAME} has no lora_parameters with a rank, and MLX builds from it.", AGAIN)
    return None


# --- tensors ---------------------------------------------------------------------------------------------------------
def pair(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    modules = folder.parts.modules
    lacking = {module: parts.lacking for module, parts in modules.items() if parts.lacking}
    if lacking:
        module, parts = next(iter(sorted(lacking.items())))
        return failed(
            f"{module} has {some(n.removeprefix(module) for n, _ in modules[module].parts.values())} without "
            f"{some(parts)} ({len(lacking):,} of {len(modules):,} modules are not whole).",
            AGAIN,
            modules=sorted(lacking)[:20],
        )
    ranks = {module: found for module, parts in modules.items() if (found := ranks_of(folder.family, parts))}
    odd = [module for module, (down, up) in ranks.items() if down != up and folder.family != "loralib"]
    if odd:
        down, up = ranks[odd[0]]
        return failed(f"The halves of {odd[0]} have the ranks {down} and {up}.", AGAIN, modules=odd[:20])
    if not modules:
        return failed(f"No tensor of {folder.weights} is part of an adapter.", AGAIN, tensors=folder.parts.others[:20])
    return f"All {len(modules):,} modules are whole."


def rank(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    found = sorted({r[0] for parts in folder.parts.modules.values() if (r := ranks_of(folder.family, parts))})
    numbers = folder.config.get("lora_parameters") if folder.family == "mlx" and configs.NAME in folder.files else None
    said = configs.whole(numbers, "rank") if isinstance(numbers, dict) else None
    if found and found[-1] > MAX_RANK:
        return failed(f"The rank {found[-1]:,} is more than the {MAX_RANK:,} allowed.", "Train with a smaller rank.")
    if said is not None and found and found != [said]:
        return failed(
            f"{configs.NAME} says rank {said}, the tensors have {some(map(str, found))}: MLX would not load them.",
            "Push config and weights of the same training.",
            expected=said, found=found[:20],
        )  # fmt: skip
    return f"The rank is {some(map(str, found))}." if found else skipped("This method has no rank of that kind.")


def unused(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    others = folder.parts.others
    if not others:
        return "Every tensor is a part of the adapter."
    return warned(
        f"{some(others)} is no part of this format that is known here; loaders look past it, or refuse the file.",
        "Save without it.",
        tensors=others[:20],
    )


def not_finite(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its values were not read.")
    for name, tensor in folder.tensors.items():
        if any(has_not_finite(tensor.dtype, block) for block in blocks_of(folder.reader, tensor)):
            return failed(f"{name} holds NaN or infinity.", "Train again with a smaller learning rate.", tensor=name)
    packed = f" {len(folder.gguf.packed):,} are packed and were not looked at." if folder.family == "gguf" else ""
    return f"All {folder.header.parameters:,} values are finite.{packed}"


def all_zero(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its values were not read.")
    every = [
        found
        for parts in folder.parts.modules.values()
        for part, found in parts.parts.items()
        if EFFECT.fullmatch(part)
    ]
    for _, tensor in every:
        if tensor.dtype == "PACKED" or not all(is_all_zero(tensor.dtype, b) for b in blocks_of(folder.reader, tensor)):
            return "The values are not all zero."
    if not every:
        return skipped("No matrix of this method leads back into the model alone.")
    return failed(
        "Every matrix that leads back into the model is zero: the adapter changes nothing.",
        "Save it after training.",
        tensors=len(every),
    )


def scale(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its values were not read.")
    found = _scales(folder)
    if not found:
        return "It says no alpha; loaders take the rank for it, so that its scale is 1."
    odd = {module: value for module, value in found.items() if not SCALES[0] <= abs(value) <= SCALES[1]}
    if not odd:
        return f"The scale is {min(found.values()):g} to {max(found.values()):g}."
    module, value = next(iter(odd.items()))
    return warned(
        f"{module} is scaled by {value:g}; from {SCALES[0]:g} to {SCALES[1]:g} is usual.",
        "Check alpha and rank.",
        scale=value,
    )


def _scales(folder: Foreign) -> dict[str, float]:
    """What each module's matrices are multiplied with, where the files say it."""
    if folder.family == "mlx":
        numbers = folder.config.get("lora_parameters") if configs.NAME in folder.files else None
        said = configs.number(numbers, "scale") if isinstance(numbers, dict) else None
        return {"every module": said} if said is not None else {}
    shared = folder.gguf.numbers.get("adapter.lora.alpha") if folder.family == "gguf" else None
    found: dict[str, float] = {}
    for module, parts in folder.parts.modules.items():
        ranks = ranks_of(folder.family, parts)
        alpha = folder.number(parts.parts["alpha"][1]) if "alpha" in parts.parts else shared
        if ranks and alpha is not None:
            found[module] = alpha / ranks[0]
    return found


# --- fit -------------------------------------------------------------------------------------------------------------
def _placed(folder: Foreign) -> dict[str, str]:
    """Module → what the base calls it, for those where names can be told."""
    kind = folder.gguf.texts.get("general.architecture", "") if folder.family == "gguf" else ""
    named = {module: path_in_base(folder.family, module, kind) for module in folder.parts.modules}
    return {module: path for module, path in named.items() if path}


def unexpected(folder: Foreign) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    placed = _placed(folder) if folder.has_header else {}
    if not placed:
        return skipped("The names of this format do not tell the modules of a base.")
    modules = folder.base.manifest.modules
    strangers = sorted(module for module, path in placed.items() if path not in modules)
    if not strangers:
        return f"{folder.base.id} has all {len(placed):,} modules."
    return failed(
        f"{folder.base.id} has no {some(strangers)} ({len(strangers):,} of {len(placed):,} modules).",
        "Name the base it was trained on.",
        modules=strangers[:20],
    )


def shape(folder: Foreign) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    placed = _placed(folder) if folder.has_header else {}
    if not placed:
        return skipped("The names of this format do not tell the modules of a base.")
    for module, path in placed.items():
        known, widths = folder.base.manifest.modules[path], widths_of(folder.family, folder.parts.modules[module])
        wanted = (known.inputs, known.outputs)
        if widths and folder.family == "loralib":
            widths = (widths[0], wanted[1])  # of a merged linear only some outputs are adapted
        if known.kind in LINEAR and widths and widths != wanted:
            return failed(
                f"{module} is for a module of {widths[0]} inputs and {widths[1]} outputs, and {folder.base.id} has "
                f"{wanted[0]} and {wanted[1]} there.",
                "Name the base it was trained on: this one has other sizes.",
                module=module, expected=list(wanted), found=list(widths),
            )  # fmt: skip
    return f"All {len(placed):,} modules have the shape that {folder.base.id} needs."


# --- the verdict -----------------------------------------------------------------------------------------------------
def kind(folder: Foreign) -> str | Finding:
    return f"{folder.weights} is {TITLES[folder.family]}."


def not_run(folder: Foreign) -> str | Finding:
    placed = bool(folder.base and folder.has_header and _placed(folder))
    base = folder.base.id if folder.base else ""
    how = f"its files were checked and fitted to the shapes of {base}" if placed else "its files were checked"
    return warned(
        f"No engine of this hub runs {TITLES[folder.family]}: {how}, and it was not loaded.",
        TO_PEFT,
        format=folder.family, proven="fit" if placed else "static",
    )  # fmt: skip


def training_data(folder: Foreign) -> str | Finding:
    return privacy.training_data(folder) if folder.has_header else skipped(f"{folder.weights} has no such notes.")


SOUND = ("file", "config.invalid")
CHECKS: tuple[Check[Foreign], ...] = (
    Check("file.pickle", pickle),
    Check("file.missing", missing, ("file.pickle",)),
    Check("file.header", header, ("file.pickle", "file.missing")),
    Check("file.ambiguous", ambiguous, ("file.pickle", "file.missing")),
    Check("config.invalid", invalid),
    Check("config.kind", kind),
    Check("config.rank", rank, SOUND),
    Check("tensors.not-finite", not_finite, SOUND),
    Check("tensors.pair", pair, SOUND),
    Check("tensors.unused", unused, SOUND),
    Check("tensors.all-zero", all_zero, SOUND),
    Check("tensors.scale", scale, (*SOUND, "tensors.not-finite", "tensors.pair")),
    Check("fit.unexpected", unexpected, (*SOUND, "tensors", "config.rank")),
    Check("fit.shape", shape, (*SOUND, "tensors", "config.rank", "fit.unexpected")),
    Check("run.not-here", not_run, (*SOUND, "tensors", "config", "fit")),
    Check("card.license", card.license),
    Check("privacy.training-data", training_data, ("file",)),
    Check("privacy.secret", privacy.secret),
)
