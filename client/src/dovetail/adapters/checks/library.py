"""Checks of the adapters library only: its configs, its kinds, the owner of each tensor, and its compositions.

Of a composition they ask the set-up, the files that it names, and each part by itself.
"""

from collections.abc import Callable

from dovetail.adapters.checks import base
from dovetail.adapters.checks.fit import NO_BASE
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.config import said_field, wrong_fields
from dovetail.adapters.methods.kind import FUSION_RULES, HEAD_RULES, LIBRARY_RULES, one_of
from dovetail.adapters.methods.library import MAX_PARTS, REQUIRED, UNION, is_misscaled, kind_of, method_of, parts
from dovetail.adapters.readers import library
from dovetail.adapters.readers.composition import FUSION_KEYS, FUSION_WEIGHTS, SAVE_AGAIN, Composition, Fusion
from dovetail.adapters.readers.library import (
    AGAIN,
    FUSION_CONFIG,
    HEAD_CONFIG,
    HEAD_WEIGHTS,
    SETUP_CONFIG,
    WEIGHTS,
    Library,
)
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned, within

INTERFACE, EMBEDDING = "adapter_interface.json", "embedding.pt"
NO_VALUE = "which is not a value that the library accepts"


def invalid(folder: Library) -> str | Finding:
    try:
        config, head = folder.config, folder.head_config
    except configs.ConfigError as error:
        return failed(f"A config cannot be used: {error}.", f"A config cannot be read: {error}.")
    wrong = [said_field(config, field) for field in wrong_fields(config, LIBRARY_RULES)] or wrong_head(head)
    if wrong:
        return failed(f"{wrong[0]}, {NO_VALUE}.", f"{AGAIN}.", keys=wrong[:20])
    for part_name, name in (("adapter", folder.name), ("head", folder.head_name)):
        if not library.NAME.fullmatch(name):
            return failed(
                f"The {part_name} is called {name[:60]!r}: the name becomes a folder and a module, so it must be "
                "plain.",
                "Rename it; use letters, digits, '_' and '-'.",
                name=name[:60],
            )
    if union := _wrong_union(folder.method):
        return failed(f"{union}, {NO_VALUE}.", f"{AGAIN}.", keys=[union])
    for part in parts(folder.method):
        if lacking := _lacking(part):
            message = f"{configs.NAME} does not say {some(lacking)}, and the library has no default for it."
            return failed(message, f"{AGAIN}.", keys=lacking)
        if wrong := _wrong(part):
            return failed(f"{wrong[0]}, {NO_VALUE}.", f"{AGAIN}.", keys=wrong[:20])
    methods = [(part, method_of(part)) for part in parts(folder.method)]
    unknown = [key[:80] for part, method in methods if method for key in part if not method.knows(key)]
    if unknown:
        return warned(f"The library ignores {some(unknown)}, and so did this check.", "Remove these keys.")
    return f"It is a JSON object with {len(config)} keys, all of them known."


def _lacking(part: configs.Config) -> list[str]:
    """Return the keys without which the library cannot build this part."""
    return [key for key in REQUIRED if part.get("architecture") is None and part.get(key) is None]


def _wrong(part: configs.Config) -> list[str]:
    method = method_of(part)
    rules = method.keys if method else {}
    return [said_field(part, field) for field in wrong_fields(part, rules) if part[field] is not None]


def _wrong_union(method: configs.Config) -> str:
    configs_of_union = method.get("configs", [])
    is_list = isinstance(configs_of_union, list) and all(isinstance(part, dict) for part in configs_of_union)
    return "" if is_list or method.get("architecture") != UNION else said_field(method, "configs")


def wrong_head(head: configs.Config) -> list[str]:
    """Return the faulty fields of a head's config, as beginnings of sentences."""
    outer = [said_field(head, field, library.HEAD_CONFIG) for field in wrong_fields(head, LIBRARY_RULES)]
    inner = head.get("config")
    if outer or not isinstance(inner, dict):
        return outer  # a head that belongs to a model class has no config of its own
    return [said_field(inner, field, library.HEAD_CONFIG) for field in wrong_fields(inner, HEAD_RULES)]


def kind(folder: Library) -> str | Finding:
    if INTERFACE in folder.files:
        return failed(
            f"It was made for a model that the library knows only by the interface in {INTERFACE}: such "
            "adapters are not validated here.",
            "Train it on a model class of the library, or push it as PEFT.",
        )
    methods = parts(folder.method)
    if not 1 <= len(methods) <= MAX_PARTS:
        return failed(f"A union of {len(methods)} methods is not validated here.", f"Use one to {MAX_PARTS} methods.")
    strangers = [str(part.get("architecture"))[:40] for part in methods if method_of(part) is None]
    if strangers:
        return failed(
            f"The architecture {some(strangers)} is not validated here.",
            "Use bottlenecks, language adapters, Compacter, LoRA, IA3, prefix or prompt tuning, ReFT, or a "
            "union of them.",
            architecture=strangers,
        )
    old = (
        ""
        if folder.version
        else " It was saved by adapter-transformers; its names were translated to those of adapters."
    )
    method = folder.config.get("config")
    if isinstance(method, dict) and is_misscaled(method, folder.version):
        old = f" {folder.version} scaled a LoRA by 1 whatever its alpha, so alpha is read as {method.get('r')}."
    sentence = f"{kind_of(folder.method)} of the adapters library, called {folder.name}.{old}"
    if EMBEDDING in folder.files:
        return warned(
            f"{sentence} {EMBEDDING} contains embeddings that load_adapter() does not load, so they were not "
            "validated.",
            "Say in the card that users must call load_embeddings(), or leave them out.",
        )
    return sentence


def unused(folder: Library) -> str | Finding:
    names = [name for name in _strangers(folder) if folder.is_anothers(name)]
    if names:
        return failed(
            f"{some(names)} belong to an adapter other than {folder.name!r}; the library silently drops them.",
            f"{AGAIN}; do not rename it by hand.",
            tensors=names[:20],
        )
    return f"Every tensor belongs to {folder.name}."


def replaces_base(folder: Library) -> str | Finding:
    names = [name for name in _strangers(folder) if not folder.is_anothers(name)]
    if names:
        return failed(
            f"{some(names)} would overwrite weights of the base: they are not tensors of the adapter {folder.name!r}.",
            f"{AGAIN}, so that the file contains only its own tensors.",
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
                f"It was trained on a base with {key} {str(stated)[:40]}, but {known_base.id} has {expected}.",
                "Name the base it was trained on.",
                key=key,
                expected=expected,
                found=str(stated)[:40],
            )
    return f"It was trained on a {known_base.model_type} of width {known_base.hidden}, like {known_base.id}."


is_named_fusion = one_of("static", "dynamic")


def invalid_composition(folder: Composition) -> str | Finding:
    config_name = FUSION_CONFIG if folder.is_bare_fusion else SETUP_CONFIG
    try:
        setup, heads = folder.setup, folder.heads
    except configs.ConfigError as error:
        return failed(f"{config_name} cannot be read: {error}.", f"{SAVE_AGAIN}; do not edit the files by hand.")
    for place, part in folder.members.items():
        answer = invalid(part) if configs.NAME in part.files else _head_of(part)
        if not isinstance(answer, Finding) and configs.NAME in part.files and part.name != place:
            answer = failed(
                f"The adapter calls itself {part.name[:60]!r}, but the composition calls it {place!r}.",
                f"{SAVE_AGAIN}.",
            )
        if isinstance(answer, Finding) and answer.outcome == "failed":
            return within(answer, place)
    for place, fusion in folder.fusions.items():
        if isinstance(wrong := _fusion(fusion), Finding):
            return within(wrong, place)
    return f"{setup}, of adapters with valid configs" + (f", under the head {some(heads)}." if heads else ".")


def _head_of(part: Library) -> str | Finding:
    try:
        wrong = wrong_head(part.head_config)
    except configs.ConfigError as error:
        return failed(f"A config cannot be read: {error}.", f"{SAVE_AGAIN}.")
    return failed(f"{wrong[0]}, {NO_VALUE}.", f"{SAVE_AGAIN}.") if wrong else "Sound."


def _fusion(fusion: Fusion) -> str | Finding:
    if FUSION_CONFIG not in fusion.files:
        return "Its config is missing (see file.missing)."
    try:
        method = fusion.method
    except configs.ConfigError as error:
        return failed(f"{FUSION_CONFIG} cannot be read: {error}.", f"{SAVE_AGAIN}.")
    if wrong := wrong_fields(fusion.config, FUSION_RULES):
        value = said_field(fusion.config, wrong[0], FUSION_CONFIG)
        return failed(f"{value}, {NO_VALUE}.", f"{SAVE_AGAIN}.", keys=wrong)
    name = configs.text(fusion.config, "name")
    if name != fusion.name:
        return failed(f"The fusion calls itself {str(name)[:60]!r}, not {fusion.name!r}.", f"{SAVE_AGAIN}.")
    if isinstance(method, str):
        if is_named_fusion(method):
            return "One of the library's."
        return failed(f"The library has no fusion {method[:40]!r}.", f"{SAVE_AGAIN}.")
    if wrong := wrong_fields(method, FUSION_KEYS):
        value = said_field(method, wrong[0], FUSION_CONFIG)
        return failed(f"{value}, {NO_VALUE}.", f"{SAVE_AGAIN}.", keys=wrong)
    return "Sound."


def kind_of_composition(folder: Composition) -> str | Finding:
    for place in folder.setup.adapters():
        answer = kind(folder.members[place])
        if isinstance(answer, Finding):
            return within(answer, place)
    return f"{folder.library_kind} of the adapters library: {folder.setup}."


def missing(folder: Composition) -> str | Finding:
    """Check that the files named in the set-up exist."""
    adapters = folder.setup.adapters()
    lacking = [
        f"{n}/{file}" for n in adapters for file in (configs.NAME, WEIGHTS) if file not in folder.members[n].files
    ]
    for place, fusion in folder.fusions.items():
        needed = (FUSION_CONFIG, FUSION_WEIGHTS)
        lacking += [f"{place}/{file}".lstrip("/") for file in needed if file not in fusion.files]
    for place in folder.heads:
        needed = (HEAD_CONFIG, HEAD_WEIGHTS)
        lacking += [f"{place}/{file}".lstrip("/") for file in needed if file not in folder.members[place].files]
    headless = [f"{n}/{HEAD_WEIGHTS}" for n in adapters if folder.members[n].missing_head]
    if not lacking and headless:
        return failed(
            f"The weights of a head are missing: {some(headless)} is not beside its {HEAD_CONFIG}.",
            f"{SAVE_AGAIN}.",
            missing=headless[:20],
        )
    if not lacking:
        return f"All {len(adapters)} adapters and {len(folder.fusions)} fusions that it names are here."
    absent = [name for name in adapters if not folder.members[name].files]
    if folder.is_bare_fusion and absent:
        return failed(
            f"The fusion {folder.name} combines the adapters {some(adapters)}, and {some(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not in the repository, so only the fusion's own files "
            "could be checked.",
            f"Put each adapter in a folder of its name beside the fusion, or: {SAVE_AGAIN}.",
            missing=lacking[:20],
            proven="static",
        )
    return failed(f"It names {some(lacking)}, which is not in the repository.", f"{SAVE_AGAIN}.", missing=lacking[:20])


def each(ask: Callable[[Library], str | Finding]) -> Callable[[Composition], str | Finding]:
    """Return a check that runs `ask` on every adapter and head and returns the worst finding."""

    def ask_each(folder: Composition) -> str | Finding:
        answers = []
        for place, member in folder.members.items():
            member.base, member.known_bases = folder.base, folder.known_bases
            answers.append((place, ask(member)))
        findings = [within(answer, place) for place, answer in answers if isinstance(answer, Finding)]
        for outcome in ("failed", "warned", "skipped"):
            if worst := next((finding for finding in findings if finding.outcome == outcome), None):
                return worst
        return f"{answers[0][1]} (The same holds for all {len(answers)}.)" if len(answers) > 1 else str(answers[0][1])

    return ask_each


def unused_in_composition(folder: Composition) -> str | Finding:
    answer = each(unused)(folder)
    return (
        answer
        if isinstance(answer, Finding)
        else _strangers_of_parts(folder, True) or "Every tensor belongs to its part."
    )


def composition_replaces_base(folder: Composition) -> str | Finding:
    answer = each(replaces_base)(folder)
    if isinstance(answer, Finding):
        return answer
    return _strangers_of_parts(folder, False) or "No tensor would overwrite a weight of the base."


def _strangers_of_parts(folder: Composition, anothers: bool) -> Finding | None:
    for place, fusion in folder.fusions.items():
        names = [n for n in fusion.tensors if not fusion.is_own(n) and fusion.is_anothers(n) is anothers]
        if names:
            what = "belong to a fusion other" if anothers else "would overwrite weights of the base"
            return failed(
                f"{some(names)} {what} than {fusion.name}." if anothers else f"{some(names)} {what}.",
                f"{SAVE_AGAIN}.",
                tensors=names[:20],
                path=place,
            )
    return None
