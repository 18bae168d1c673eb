"""Checks of the adapters library only: its configs, its kinds, and the owner of each tensor."""

from __future__ import annotations

from dovetail.adapters.checks import base
from dovetail.adapters.checks.fit import NO_BASE
from dovetail.adapters.files import config as configs
from dovetail.adapters.methods.kind import HEAD_RULES, LIBRARY_RULES, said_field, wrong_fields
from dovetail.adapters.methods.library import MAX_PARTS, REQUIRED, UNION, is_misscaled, kind_of, method_of, parts
from dovetail.adapters.readers.library import contents
from dovetail.adapters.readers.library.contents import AGAIN, Library
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned

INTERFACE, EMBEDDING = "adapter_interface.json", "embedding.pt"
NO_VALUE = "which is not a value that the library accepts"


def invalid(folder: Library) -> str | Finding:
    try:
        config, head = folder.config, folder.head_config
    except configs.ConfigError as error:
        return failed(f"A config cannot be used: {error}.", f"{AGAIN}; do not edit the files by hand.")
    wrong = [said_field(config, field) for field in wrong_fields(config, LIBRARY_RULES)] or wrong_head(head)
    if wrong:
        return failed(f"{wrong[0]}, {NO_VALUE}.", f"{AGAIN}.", keys=wrong[:20])
    for part_name, name in (("adapter", folder.name), ("head", folder.head_name)):
        if not contents.NAME.fullmatch(name):
            return failed(
                f"The {part_name} is called {name[:60]!r}: that becomes a folder and a module, and must be plain.",
                "Rename it: letters, digits, '_' and '-'.",
                name=name[:60],
            )
    wrong = _wrong_union(folder.method) or [problem for part in parts(folder.method) for problem in _wrong(part)]
    if wrong:
        why = "and the library has no value of its own for it" if " does not say " in wrong[0] else NO_VALUE
        return failed(f"{wrong[0]}, {why}.", f"{AGAIN}.", keys=wrong[:20])
    methods = [(part, method_of(part)) for part in parts(folder.method)]
    unknown = [key[:80] for part, method in methods if method for key in part if not method.knows(key)]
    if unknown:
        return warned(f"The library does not read {some(unknown)}, and neither did the check.", "Remove the keys.")
    return f"It is a JSON object with {len(config)} keys, all known."


def _wrong(part: configs.Config) -> list[str]:
    method = method_of(part)
    rules = method.keys if method else {}
    lacking = [key for key in REQUIRED if part.get("architecture") is None and part.get(key) is None]
    if lacking:
        return [f"{configs.NAME} does not say {some(lacking)}"]
    return [said_field(part, field) for field in wrong_fields(part, rules) if part[field] is not None]


def _wrong_union(method: configs.Config) -> list[str]:
    configs_of_union = method.get("configs", [])
    is_list = isinstance(configs_of_union, list) and all(isinstance(part, dict) for part in configs_of_union)
    return [] if is_list or method.get("architecture") != UNION else [said_field(method, "configs")]


def wrong_head(head: configs.Config) -> list[str]:
    """Return the faulty fields of a head's config, as beginnings of sentences."""
    outer = [said_field(head, field, contents.HEAD_CONFIG) for field in wrong_fields(head, LIBRARY_RULES)]
    inner = head.get("config")
    if outer or not isinstance(inner, dict):
        return outer  # a head that belongs to a model class has no config of its own
    return [said_field(inner, field, contents.HEAD_CONFIG) for field in wrong_fields(inner, HEAD_RULES)]


def kind(folder: Library) -> str | Finding:
    if INTERFACE in folder.files:
        return failed(
            f"It was made on a model that the library knows by the interface in {INTERFACE} alone: not proven here.",
            "Train it on a model class of the library, or push it as PEFT.",
        )
    methods = parts(folder.method)
    if not 1 <= len(methods) <= MAX_PARTS:
        return failed(f"A union of {len(methods)} methods is not proven here.", f"Use one to {MAX_PARTS} methods.")
    strangers = [str(part.get("architecture"))[:40] for part in methods if method_of(part) is None]
    if strangers:
        return failed(
            f"The architecture {some(strangers)} is not proven here so far.",
            "Proven are bottlenecks, language adapters, Compacter, LoRA, IA3, prefix and prompt tuning, ReFT, unions.",
            architecture=strangers,
        )
    old = "" if folder.version else " It was saved by adapter-transformers, whose names were read as they were meant."
    method = folder.config.get("config")
    if isinstance(method, dict) and is_misscaled(method, folder.version):
        old = f" {folder.version} scaled a LoRA by 1 whatever its alpha, so that alpha is read as {method.get('r')}."
    sentence = f"{kind_of(folder.method)} of the adapters library, called {folder.name}.{old}"
    if EMBEDDING in folder.files:
        return warned(
            f"{sentence} {EMBEDDING} holds embeddings that load_adapter() does not load, and so they were not proven.",
            "Say in the card that load_embeddings() is needed, or leave them out.",
        )
    return sentence


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


def mismatch(folder: Library) -> str | Finding:
    """Compare the config's facts about its base; the library loads an adapter of another base of equal width."""
    known_base = folder.base
    if known_base is None:
        return skipped(NO_BASE)
    if another := base.of_another(folder):
        return another
    pairs = (("model_type", known_base.model_type), ("hidden_size", known_base.hidden))
    for key, expected in pairs:
        stated = folder.config.get(key)
        if stated is not None and expected and stated != expected:
            return failed(
                f"It was trained on a base with {key} {str(stated)[:40]}, and {known_base.id} has {expected}.",
                "Name the base it was trained on.",
                key=key,
                expected=expected,
                found=str(stated)[:40],
            )
    return f"It was trained on a {known_base.model_type} of width {known_base.hidden}, and so is {known_base.id}."
