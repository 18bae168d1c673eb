"""Checks of formats that no engine here runs: their parts, their fit, and the depth of their verdict."""

import re

from dovetail.adapters.checks.fit import NO_BASE, SAME_RUN
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import said_field, wrong_fields
from dovetail.adapters.formats import bases, images
from dovetail.adapters.formats.formats import detect
from dovetail.adapters.formats.images import ROWS
from dovetail.adapters.methods.kind import MLX_LORA_RULES, MLX_RULES
from dovetail.adapters.readers.foreign import Foreign
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned
from dovetail.adapters.shapes.fit import LINEAR
from dovetail.adapters.shapes.parts import ranks_of, widths_of

TO_PEFT = "If there is a PEFT adapter, push it too: it is run and measured."
TO_SAFETENSORS = (
    'mlx-lm and the converters here read only adapters.safetensors: run python -c "import mlx.core '
    "as mx; mx.save_safetensors('adapters.safetensors', mx.load('adapters.npz'))\", and push the "
    "result with an adapter_config.json that has fine_tune_type, num_layers and lora_parameters "
    "(rank, scale, dropout), which this file does not contain."
)
OF_LORALIB = (
    "Convert it to PEFT, which is run and measured: `dovetail derive NAME --to peft --alpha "
    "NUMBER`, or with lora_alpha in the card without --alpha."
)
BY_HAND = "Nothing to fix here: try it in the program that it is made for."
AGAIN = Foreign.again
MAX_RANK = 4096
STEP = re.compile(r"\d{7}_adapters\.safetensors")  # mlx_lm.lora copies its weights every hundred iterations


def ambiguous(folder: Foreign) -> str | Finding:
    """Warn about several adapters at the top: image trainers write a file every few steps."""
    beside = [path for _, _, path in detect(folder.files) if path.count("/") == folder.weights.count("/")]
    others = [path for path in beside if path not in (folder.weights, configs.NAME)]
    steps = [path for path in others if folder.family == "mlx" and STEP.fullmatch(path.rpartition("/")[2])]
    if others == steps:
        return f"{some(steps)} are earlier steps of it." if steps else "There is one set of weights."
    return warned(
        f"{some(others)} {'is an adapter' if len(others) == 1 else 'are adapters'} as well: only "
        f"{folder.weights} was checked.",
        "Push each to a repository of its own, or push only the last one.",
        files=others[:20],
    )


def invalid(folder: Foreign) -> str | Finding:
    if configs.NAME not in folder.files:
        return "This format has no config."
    try:
        config = folder.config
    except configs.ConfigError as error:
        return failed(f"{configs.NAME} cannot be read: {error}.", AGAIN)
    problem = _mlx(config) if folder.family == "mlx" else None
    return problem or f"It is a JSON object with {len(config)} keys."


def _mlx(config: configs.Config) -> Finding | None:
    """Return the first field that MLX would refuse."""
    numbers = config.get("lora_parameters") or {}
    for part, rules in ((config, MLX_RULES), (numbers, MLX_LORA_RULES)):
        if isinstance(part, dict) and (wrong := wrong_fields(part, rules)):
            return failed(f"{said_field(part, wrong[0])}, which is not a value that MLX accepts.", AGAIN, keys=wrong)
    if (kind := configs.text(config, "fine_tune_type")) not in (None, "lora", "dora"):
        return failed(
            f"fine_tune_type is {kind[:40]!r}: that is a whole model, not an adapter.",
            "Train with --fine-tune-type lora.",
        )
    if not isinstance(numbers, dict) or type(numbers.get("rank")) is not int:
        return failed(
            f"{configs.NAME} has no lora_parameters with a rank, which MLX needs to build the adapter.", AGAIN
        )
    return None


def pair(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    modules = folder.parts.modules
    lacking = {module: parts.lacking for module, parts in modules.items() if parts.lacking}
    if lacking:
        module, parts = next(iter(sorted(lacking.items())))
        return failed(
            f"{module} has {some(n.removeprefix(module) for n, _ in modules[module].parts.values())} without "
            f"{some(parts)} ({len(lacking):,} of {len(modules):,} modules are incomplete).",
            AGAIN,
            modules=sorted(lacking)[:20],
        )
    ranks = {module: pair_ranks for module, parts in modules.items() if (pair_ranks := ranks_of(folder.family, parts))}
    odd = [module for module, (down, up) in ranks.items() if down != up and not ROWS[folder.family].is_merged]
    if odd:
        down, up = ranks[odd[0]]
        return failed(f"The two matrices of {odd[0]} have the ranks {down} and {up}.", AGAIN, modules=odd[:20])
    if not modules:
        return failed(f"{folder.weights} contains no tensor of an adapter.", AGAIN, tensors=folder.parts.others[:20])
    return f"All {len(modules):,} {'tensors' if ROWS[folder.family].is_single else 'modules'} are complete."


def rank(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    ranks = sorted({r[0] for parts in folder.parts.modules.values() if (r := ranks_of(folder.family, parts))})
    numbers = folder.config.get("lora_parameters") if folder.family == "mlx" and configs.NAME in folder.files else None
    stated = configs.whole(numbers, "rank") if isinstance(numbers, dict) else None
    if ranks and ranks[-1] > MAX_RANK:
        return failed(f"The rank {ranks[-1]:,} exceeds the limit of {MAX_RANK:,}.", "Train with a smaller rank.")
    if stated is not None and ranks and ranks != [stated]:
        return failed(
            f"{configs.NAME} says rank {stated}, but the tensors have {some(map(str, ranks))}: MLX cannot load them.",
            f"Set rank to {ranks[0]} in lora_parameters of {configs.NAME}. Or: {SAME_RUN.lower()}."
            if len(ranks) == 1
            else f"{SAME_RUN}.",
            expected=stated,
            found=ranks[:20],
        )
    return f"The rank is {some(map(str, ranks))}." if ranks else skipped("This method has no such rank.")


def unused(folder: Foreign) -> str | Finding:
    if not folder.has_header:
        return skipped("Its tensors were not read.")
    others = folder.parts.others
    if not others:
        return "Every tensor is part of the adapter."
    return warned(
        f"{some(others)} is not a known part of this format; loaders ignore it, or refuse the file.",
        "Save without it.",
        tensors=others[:20],
    )


def unexpected(folder: Foreign) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    placed = folder.placed
    if not placed:
        return skipped("The names of this format do not identify the base's modules.")
    if other := _of_another_architecture(folder):
        return other
    modules = folder.base.manifest.modules
    strangers = sorted(module for module, path in placed.items() if path not in modules)
    if not strangers:
        return f"{folder.base.id} has all {len(placed):,} modules."
    return failed(
        f"{folder.base.id} has no {some(strangers)} ({len(strangers):,} of {len(placed):,} modules).",
        "Name the base it was trained on.",
        modules=strangers[:20],
    )


def _of_another_architecture(folder: Foreign) -> Finding | None:
    """Return the refusal of a GGUF file that says it is for another architecture: llama.cpp compares both."""
    assert folder.base is not None
    expected = bases.of_gguf(folder.base.architectures) if folder.family == "gguf" else frozenset()
    said = folder.gguf.texts.get("general.architecture", "") if expected else ""
    if not said or said in expected:
        return None
    return failed(
        f"The file says that it is for the architecture {said[:40]}, but {folder.base.id} is "
        f"{some(sorted(expected))}: llama.cpp loads it on no other.",
        "Name the base it was trained on.",
        expected=sorted(expected),
        found=said[:40],
    )


def shape(folder: Foreign) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    if ROWS[folder.family].is_vector and folder.base.hidden:
        return _vectors(folder, folder.base.id, folder.base.hidden)
    placed = folder.placed
    if not placed:
        return skipped("The names of this format do not identify the base's modules.")
    for module, path in placed.items():
        base_module, widths = folder.base.manifest.modules[path], widths_of(folder.family, folder.parts.modules[module])
        expected = (base_module.inputs, base_module.outputs)
        if widths and folder.family == "loralib":
            widths = (widths[0], expected[1])  # of a merged linear only some outputs are adapted
        if base_module.kind in LINEAR and widths and widths != expected:
            return failed(
                f"{module} has {widths[0]} inputs and {widths[1]} outputs, but in {folder.base.id} {expected[0]} "
                f"and {expected[1]}.",
                "Name the base it was trained on: this one has other dimensions.",
                module=module,
                expected=list(expected),
                found=list(widths),
            )
    return f"All {len(placed):,} modules have the shape that {folder.base.id} needs."


def quantised(folder: Foreign) -> str | Finding:
    """Tell on which base an adapter was compared that names a quantised copy, which its name alone tells."""
    if folder.base is None or not folder.base_id:
        return skipped(NO_BASE)
    if bases.relation(folder.base_id, folder.base.id, folder.base.names) != "quantised":
        return f"It names {folder.base_id[:120]}."
    return (
        f"By its name, {folder.base_id[:120]} is a quantised copy of {folder.base.id}: the files were "
        f"compared with the shapes of {folder.base.id} in full precision."
    )


def _vectors(folder: Foreign, base: str, width: int) -> str | Finding:
    """Compare the width of vectors with that of the hidden states to which they are added."""
    for name, tensor in folder.tensors.items():
        if tensor.shape[-1] != width and tensor.values != width:
            return failed(
                f"{name} has {tensor.shape[-1]:,} values, but a hidden state of {base} has {width:,}.",
                "Name the base it was made with.",
                tensor=name,
                expected=width,
                found=tensor.shape[-1],
            )
    return f"All {len(folder.tensors):,} vectors are as wide as the hidden states of {base}."


def mismatch(folder: Foreign) -> str | Finding:
    """Compare the family of image models that names, widths and header tell with that of the base that the card names.

    Tensors decide before the header: they are what is loaded.
    """
    shapes = {name: tensor.shape for name, tensor in folder.tensors.items()} if folder.has_header else {}
    by_tensors, (by_notes, note) = images.of_tensors(shapes), images.of_notes(folder.metadata)
    trained = by_tensors or frozenset({by_notes} - {""})
    if by_notes and by_notes not in trained:
        return warned(
            f"Its tensors are for {images.some(trained)}, but in its header {note}: it is another file's header.",
            "Save it again with the program that trained it.",
            expected=sorted(trained),
            found=by_notes,
        )
    card = configs.names(dict(folder.card or {}), "base_model")
    named = next((kind for name in card if (kind := images.of_name(name.rpartition("/")[2]))), "")
    if not trained or not named or named in trained:
        return f"It is for {images.some(trained) or named}." if trained or named else "Only one place names a base."
    where = "as the names and shapes of its tensors show" if by_tensors else f"in its header {note}"
    return failed(
        f"The card names {named}, but the file is for {images.some(trained)}: {where}.",
        "Name the base it was trained on in the card.",
        expected=images.some(trained),
        found=named,
    )


def kind(folder: Foreign) -> str | Finding:
    return f"{folder.weights} is {ROWS[folder.family].title}."


def not_run(folder: Foreign) -> Finding:
    """Say how far it was proven: nobody can mend that, so it warns of nothing."""
    placed = bool(folder.base and folder.placed)
    base = folder.base.id if folder.base else ""
    how = f"its files were checked and its shapes compared with {base}" if placed else "its files were checked"
    title = ROWS[folder.family].title.partition(": ")[0].partition(", which")[0]
    return Finding(
        "skipped",
        f"No engine of this hub runs {title}: {how}, and it was not loaded.",
        _way_on(folder),
        {"format": folder.family, "proven": "fit" if placed else "static"},
    )


def _way_on(folder: Foreign) -> str:
    """Return what may be done so that an engine runs it."""
    if folder.family == "loralib":
        return OF_LORALIB
    if folder.is_npz:
        return TO_SAFETENSORS
    return TO_PEFT if ROWS[folder.family].is_of_text else BY_HAND
