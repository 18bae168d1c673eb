"""Checks of compositions only: their set-up, the files that it names, and each part by itself."""

from __future__ import annotations

from collections.abc import Callable

from dovetail.adapters.checks import library
from dovetail.adapters.files import config as configs
from dovetail.adapters.methods.kind import FUSION_RULES, one_of, said_field, wrong_fields
from dovetail.adapters.readers.library.composition import FUSION_KEYS, FUSION_WEIGHTS, SAVE_AGAIN, Composition, Fusion
from dovetail.adapters.readers.library.contents import (
    FUSION_CONFIG,
    HEAD_CONFIG,
    HEAD_WEIGHTS,
    SETUP_CONFIG,
    WEIGHTS,
    Library,
)
from dovetail.adapters.results.findings import Finding, failed, some, within

is_named_fusion = one_of("static", "dynamic")


def invalid(folder: Composition) -> str | Finding:
    config_name = FUSION_CONFIG if folder.is_bare_fusion else SETUP_CONFIG
    try:
        setup, heads = folder.setup, folder.heads
    except configs.ConfigError as error:
        return failed(f"{config_name} cannot be used: {error}.", f"{SAVE_AGAIN}; do not edit the files by hand.")
    for place, part in folder.members.items():
        answer = library.invalid(part) if configs.NAME in part.files else _head_of(part)
        if not isinstance(answer, Finding) and configs.NAME in part.files and part.name != place:
            answer = failed(
                f"The adapter calls itself {part.name[:60]!r}, and the set-up knows it as {place!r}.", f"{SAVE_AGAIN}."
            )
        if isinstance(answer, Finding) and answer.outcome == "failed":
            return within(answer, place)
    for place, fusion in folder.fusions.items():
        if isinstance(wrong := _fusion(fusion), Finding):
            return within(wrong, place)
    return f"{setup}, of adapters with sound configs" + (f", under the head {some(heads)}." if heads else ".")


def _head_of(part: Library) -> str | Finding:
    try:
        wrong = library.wrong_head(part.head_config)
    except configs.ConfigError as error:
        return failed(f"A config cannot be used: {error}.", f"{SAVE_AGAIN}.")
    return failed(f"{wrong[0]}, {library.NO_VALUE}.", f"{SAVE_AGAIN}.") if wrong else "Sound."


def _fusion(fusion: Fusion) -> str | Finding:
    if FUSION_CONFIG not in fusion.files:
        return "Its config is missing, which file.missing says."
    try:
        method = fusion.method
    except configs.ConfigError as error:
        return failed(f"{FUSION_CONFIG} cannot be used: {error}.", f"{SAVE_AGAIN}.")
    if wrong := wrong_fields(fusion.config, FUSION_RULES):
        value = said_field(fusion.config, wrong[0], FUSION_CONFIG)
        return failed(f"{value}, {library.NO_VALUE}.", f"{SAVE_AGAIN}.", keys=wrong)
    name = configs.text(fusion.config, "name")
    if name != fusion.name:
        return failed(f"The fusion calls itself {str(name)[:60]!r}, not {fusion.name!r}.", f"{SAVE_AGAIN}.")
    if isinstance(method, str):
        if is_named_fusion(method):
            return "One of the library's."
        return failed(f"The library has no fusion {method[:40]!r}.", f"{SAVE_AGAIN}.")
    if wrong := wrong_fields(method, FUSION_KEYS):
        value = said_field(method, wrong[0], FUSION_CONFIG)
        return failed(f"{value}, {library.NO_VALUE}.", f"{SAVE_AGAIN}.", keys=wrong)
    return "Sound."


def kind(folder: Composition) -> str | Finding:
    for place in folder.setup.adapters():
        answer = library.kind(folder.members[place])
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
            f"The fusion {folder.name} weighs the adapters {some(adapters)}, and {some(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not in the repository, so only its own files could be looked at.",
            f"Put each adapter in a folder of its name beside the fusion, or: {SAVE_AGAIN}.",
            missing=lacking[:20],
            proven="static",
        )
    return failed(f"It names {some(lacking)}, which is not here.", f"{SAVE_AGAIN}.", missing=lacking[:20])


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
        return f"{answers[0][1]} (So for all {len(answers)}.)" if len(answers) > 1 else str(answers[0][1])

    return ask_each


def unused(folder: Composition) -> str | Finding:
    answer = each(library.unused)(folder)
    return answer if isinstance(answer, Finding) else _strangers(folder, True) or "Every tensor belongs to its part."


def replaces_base(folder: Composition) -> str | Finding:
    answer = each(library.replaces_base)(folder)
    if isinstance(answer, Finding):
        return answer
    return _strangers(folder, False) or "No tensor would overwrite a weight of the base."


def _strangers(folder: Composition, anothers: bool) -> Finding | None:
    for place, fusion in folder.fusions.items():
        names = [n for n in fusion.tensors if not fusion.is_own(n) and fusion.is_anothers(n) is anothers]
        if names:
            what = "belong to another fusion" if anothers else "would overwrite weights of the base"
            return failed(
                f"{some(names)} {what} than {fusion.name}." if anothers else f"{some(names)} {what}.",
                f"{SAVE_AGAIN}.",
                tensors=names[:20],
                path=place,
            )
    return None
