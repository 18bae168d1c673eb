"""The checks of an adapter of the adapters library that need no torch; ids mean what they mean for PEFT."""

from __future__ import annotations

from dovetail.adapters import config as configs
from dovetail.adapters import fields
from dovetail.adapters.checks import base, card, files, privacy, tensors
from dovetail.adapters.checks.base import is_local_path
from dovetail.adapters.checks.fit import NO_BASE
from dovetail.adapters.findings import Check, Finding, failed, skipped, some, warned
from dovetail.adapters.header import HeaderError
from dovetail.adapters.library import contents
from dovetail.adapters.library.contents import Library
from dovetail.adapters.library.methods import MAX_PARTS, REQUIRED, UNION, is_misscaled, kind_of, method_of, parts
from dovetail.adapters.values import has_not_finite, is_all_zero

AGAIN = "Save the adapter again with save_adapter(..., use_safetensors=True)"
INTERFACE, EMBEDDING = "adapter_interface.json", "embedding.pt"
NO_VALUE = "which is not a value that the library accepts"
DELTAS = (".adapter_up.weight", ".lora_B", ".adapter_up.W_right")  # where zero everywhere means: no effect


def pickle(folder: Library) -> str | Finding:
    """The library writes pickles unless it is told otherwise, and reads them unless it is told otherwise."""
    found = files.pickle(folder)
    if not isinstance(found, Finding):
        return found
    if found.outcome == "failed":
        path = str(found.where.get("file", ""))
        again = f"{AGAIN}, and push {folder.weights} in its place."
        return Finding("failed", found.message, files.way_out(path, again), found.where)
    return found


def header(folder: Library) -> str | Finding:
    found = files.header(folder)
    if isinstance(found, Finding):
        return found
    try:
        head = folder.head_header
    except HeaderError as error:
        return failed(f"{contents.HEAD_WEIGHTS} is not a sound safetensors file: {error}.", f"{AGAIN}.")
    return found + (f" The head has {len(head.tensors)} more." if head.tensors else "")


def invalid(folder: Library) -> str | Finding:
    try:
        config, head = folder.config, folder.head_config
    except configs.ConfigError as error:
        return failed(f"A config cannot be used: {error}.", f"{AGAIN}; do not edit the files by hand.")
    wrong = [fields.said(config, field) for field in fields.wrong(config, fields.LIBRARY)] or wrong_head(head)
    if wrong:
        return failed(f"{wrong[0]}, {NO_VALUE}.", f"{AGAIN}.", keys=wrong[:20])
    for what, name in (("adapter", folder.name), ("head", folder.head_name)):
        if not contents.NAME.fullmatch(name):
            return failed(
                f"The {what} is called {name[:60]!r}: that becomes a folder and a module, and must be plain.",
                "Rename it: letters, digits, '_' and '-'.",
                name=name[:60],
            )
    wrong = _wrong_union(folder.method) or [problem for part in parts(folder.method) for problem in _wrong(part)]
    if wrong:
        why = "and the library has no value of its own for it" if " does not say " in wrong[0] else NO_VALUE
        return failed(f"{wrong[0]}, {why}.", f"{AGAIN}.", keys=wrong[:20])
    known = [(part, method_of(part)) for part in parts(folder.method)]
    unknown = [key[:80] for part, method in known if method for key in part if not method.knows(key)]
    if unknown:
        return warned(f"The library does not read {some(unknown)}, and neither did the check.", "Remove the keys.")
    return f"It is a JSON object with {len(config)} keys, all known."


def _wrong(part: configs.Config) -> list[str]:
    method = method_of(part)
    rules = method.keys if method else {}
    lacking = [key for key in REQUIRED if part.get("architecture") is None and part.get(key) is None]
    if lacking:
        return [f"{configs.NAME} does not say {some(lacking)}"]
    return [fields.said(part, field) for field in fields.wrong(part, rules) if part[field] is not None]


def _wrong_union(method: configs.Config) -> list[str]:
    listed = method.get("configs", [])
    is_list = isinstance(listed, list) and all(isinstance(part, dict) for part in listed)
    return [] if is_list or method.get("architecture") != UNION else [fields.said(method, "configs")]


def wrong_head(head: configs.Config) -> list[str]:
    """Return what is wrong with the fields of a head's config, as beginnings of sentences."""
    outer = [fields.said(head, field, contents.HEAD_CONFIG) for field in fields.wrong(head, fields.LIBRARY)]
    inner = head.get("config")
    if outer or not isinstance(inner, dict):
        return outer  # a head that belongs to a model class has no config of its own
    return [fields.said(inner, field, contents.HEAD_CONFIG) for field in fields.wrong(inner, fields.HEAD)]


def kind(folder: Library) -> str | Finding:
    if INTERFACE in folder.files:
        return failed(
            f"It was made on a model that the library knows by the interface in {INTERFACE} alone: not proven here.",
            "Train it on a model class of the library, or push it as PEFT.",
        )
    found = parts(folder.method)
    if not 1 <= len(found) <= MAX_PARTS:
        return failed(f"A union of {len(found)} methods is not proven here.", f"Use one to {MAX_PARTS} methods.")
    strangers = [str(part.get("architecture"))[:40] for part in found if method_of(part) is None]
    if strangers:
        return failed(
            f"The architecture {some(strangers)} is not proven here so far.",
            "Proven are bottlenecks, language adapters, Compacter, LoRA, IA3, prefix and prompt tuning, ReFT, unions.",
            architecture=strangers,
        )
    old = "" if folder.version else " It was saved by adapter-transformers, whose names were read as they were meant."
    said = folder.config.get("config")
    if isinstance(said, dict) and is_misscaled(said, folder.version):
        old = f" {folder.version} scaled a LoRA by 1 whatever its alpha, so that alpha is read as {said.get('r')}."
    said_kind = f"{kind_of(folder.method)} of the adapters library, called {folder.name}.{old}"
    if EMBEDDING in folder.files:
        return warned(
            f"{said_kind} {EMBEDDING} holds embeddings that load_adapter() does not load, and so they were not proven.",
            "Say in the card that load_embeddings() is needed, or leave them out.",
        )
    return said_kind


def missing(folder: Library) -> str | Finding:
    found = files.missing(folder)
    return found if isinstance(found, Finding) else headless(folder) or found


def headless(folder: Library) -> Finding | None:
    """The refusal of a head without weights: the library would load the adapter under one that nobody trained."""
    if contents.HEAD_CONFIG not in folder.files or contents.HEAD_WEIGHTS in folder.files:
        return None
    return failed(
        f"The weights of the head are missing: {contents.HEAD_CONFIG} describes a head, and {contents.HEAD_WEIGHTS} is "
        "not beside it, so that loaders make up an untrained one.",
        f"{AGAIN} and push {contents.HEAD_WEIGHTS} too; or delete {contents.HEAD_CONFIG} if the adapter needs no head.",
        missing=[contents.HEAD_WEIGHTS],
    )


def not_finite(folder: Library) -> str | Finding:
    for name, tensor, block in folder.every_block():
        if has_not_finite(tensor.dtype, block):
            return failed(f"{name} holds NaN or infinity.", "Train again with a smaller learning rate.", tensor=name)
    return "All values are finite."


def unused(folder: Library) -> str | Finding:
    names = [name for name in _strangers(folder) if folder.is_anothers(name)]
    if names:
        return failed(
            f"{some(names)} belong to another adapter than {folder.name!r}; the library drops them without a word.",
            f"{AGAIN}, without renaming it by hand.",
            tensors=names[:20],
        )
    return f"Every tensor belongs to {folder.name}."


def replaces_base(folder: Library) -> str | Finding:
    names = [name for name in _strangers(folder) if not folder.is_anothers(name)]
    if names:
        return failed(
            f"{some(names)} would overwrite weights of the base: no tensor of the adapter {folder.name!r}.",
            f"{AGAIN}, so that only its own tensors are in the file.",
            tensors=names[:20],
        )
    return "No tensor would overwrite a weight of the base."


def _strangers(folder: Library) -> list[str]:
    return sorted(name for name in folder.tensors if not folder.is_own(name))


def all_zero(folder: Library) -> str | Finding:
    effective = {name: tensor for name, tensor in folder.header.tensors.items() if name.endswith(DELTAS)}
    zero = [
        name
        for name, tensor in effective.items()
        if all(is_all_zero(tensor.dtype, block) for block in folder.blocks(tensor))
    ]
    if effective and len(zero) == len(effective):
        return failed(
            "Every matrix that leads back into the model is zero: the adapter changes nothing.",
            f"{AGAIN} after training.",
            tensors=len(zero),
        )
    return "The values are not all zero."


def unnamed(folder: Library) -> str | Finding:
    if folder.base_id:
        return f"It names {folder.base_id[:120]}."
    return failed(f"{configs.NAME} names no base model (model_name is empty).", "Set model_name to its id: 'org/name'.")


def local_path(folder: Library) -> str | Finding:
    name = folder.base_id or ""
    if not is_local_path(name):
        return "It is a name, not a path."
    known = folder.base.id if folder.base else "org/name"
    return failed(
        f"model_name is {name[:120]!r}, a path on the machine that trained it: nobody else can load that.",
        f"Set model_name to {known!r} and push again.",
        found=name[:120],
    )


def mismatch(folder: Library) -> str | Finding:
    """The library itself compares none of this: a foreign adapter of equal width loads without a word."""
    known = folder.base
    if known is None:
        return skipped(NO_BASE)
    if not base.meant(folder):
        return failed(
            f"{configs.NAME} names {str(folder.base_id)[:120]!r}, but it was checked against {known.id!r}.",
            "Set model_name to the base it was trained on.",
            expected=known.id, found=str(folder.base_id)[:120],
        )  # fmt: skip
    pairs = (("model_type", known.model_type), ("hidden_size", known.hidden))
    for key, wanted in pairs:
        found = folder.config.get(key)
        if found is not None and wanted and found != wanted:
            return failed(
                f"It was trained on a base with {key} {str(found)[:40]}, and {known.id} has {wanted}.",
                "Name the base it was trained on.",
                key=key, expected=wanted, found=str(found)[:40],
            )  # fmt: skip
    return f"It was trained on a {known.model_type} of width {known.hidden}, and so is {known.id}."


def lacking(folder: Library) -> str | Finding:
    if folder.base is None or folder.base.expect is None:
        return skipped(NO_BASE)
    lacking = sorted(folder.expected.keys() - folder.tensors.keys())
    if not lacking:
        return f"All {len(folder.expected):,} tensors that the base needs are here."
    return failed(
        f"{len(lacking):,} of the {len(folder.expected):,} tensors for {folder.base.id} are not in the file: "
        f"{some(lacking)}.",
        f"{AGAIN}, whole.",
        tensors=lacking[:20],
    )


def unexpected(folder: Library) -> str | Finding:
    if folder.base is None or folder.base.expect is None:
        return skipped(NO_BASE)
    strangers = sorted(folder.tensors.keys() - folder.expected.keys())
    if not strangers:
        return "No tensor is left over."
    return failed(
        f"{folder.base.id} has no place for {some(strangers)}.",
        "Name the base it was trained on, or push the config of the same training run.",
        tensors=strangers[:20],
    )


def shape(folder: Library) -> str | Finding:
    if folder.base is None or folder.base.expect is None:
        return skipped(NO_BASE)
    for name, wanted in folder.expected.items():
        if wanted and folder.tensors[name].shape != wanted:
            found = folder.tensors[name].shape
            return failed(
                f"{name} is {list(found)}, but {folder.base.id} needs {list(wanted)}.",
                "Name the base it was trained on: this one has other sizes.",
                tensor=name, expected=list(wanted), found=list(found),
            )  # fmt: skip
    return "Every tensor has the shape the base needs."


SOUND = ("file", "config.invalid", "config.kind")
WHOLE = (*SOUND, "tensors.unused", "tensors.replaces-base", "base.mismatch", "base.local-path", "base.unnamed")

CHECKS: tuple[Check[Library], ...] = (
    Check("file.pickle", pickle),
    Check("config.invalid", invalid),
    Check("config.kind", kind, ("config.invalid",)),
    Check("file.missing", missing, SOUND),
    Check("file.ambiguous", files.ambiguous, SOUND),
    Check("file.twins-differ", files.twins_differ, SOUND),
    Check("file.header", header, SOUND),
    Check("file.size", files.size, SOUND),
    Check("tensors.dtype", tensors.dtype, SOUND),
    Check("tensors.not-finite", not_finite, SOUND),
    Check("tensors.unused", unused, SOUND),
    Check("tensors.replaces-base", replaces_base, SOUND),
    Check("tensors.all-zero", all_zero, SOUND),
    Check("base.unnamed", unnamed, SOUND),
    Check("base.local-path", local_path, (*SOUND, "base")),
    Check("base.unknown", base.unknown, (*SOUND, "base")),
    Check("base.mismatch", mismatch, (*SOUND, "base")),
    Check("fit.missing", lacking, WHOLE),
    Check("fit.unexpected", unexpected, WHOLE),
    Check("fit.shape", shape, (*WHOLE, "fit.missing")),
    Check("card.license", card.license),
    Check("card.base", card.base, ("config.invalid",)),
    Check("card.task", card.task, ("config.invalid",)),
    Check("privacy.training-data", privacy.training_data, SOUND),
    Check("privacy.secret", privacy.secret),
)
