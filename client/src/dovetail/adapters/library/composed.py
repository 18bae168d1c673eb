"""The checks of a composition that need no torch: of the set-up itself, and of each part as if it stood alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dovetail.adapters import config as configs
from dovetail.adapters import fields
from dovetail.adapters.checks import base, card, files, privacy
from dovetail.adapters.findings import Check, Finding, failed, some, warned
from dovetail.adapters.header import HeaderError
from dovetail.adapters.kinds import Fits, is_flag, is_number, one_of
from dovetail.adapters.library import checks as alone
from dovetail.adapters.library.composition import FUSION_WEIGHTS, Composition, Fusion
from dovetail.adapters.library.contents import FUSION_CONFIG, HEAD_CONFIG, HEAD_WEIGHTS, SETUP_CONFIG, WEIGHTS, Library
from dovetail.adapters.values import has_not_finite, is_all_zero

AGAIN = "Save the whole with save_adapter_setup(..., use_safetensors=True), and push the folder it wrote"
FUSION_KEYS: Mapping[str, Fits] = {
    **dict.fromkeys(
        ("key", "query", "value", "query_before_ln", "regularization", "residual_before", "temperature",
         "value_before_softmax", "value_initialized"),
        is_flag,
    ),
    "dropout_prob": lambda value: value is None or is_number(value),
}  # fmt: skip
is_named_fusion = one_of("static", "dynamic")


def invalid(folder: Composition) -> str | Finding:
    what = FUSION_CONFIG if folder.is_bare_fusion else SETUP_CONFIG
    try:
        setup, heads = folder.setup, folder.heads
    except configs.ConfigError as error:
        return failed(f"{what} cannot be used: {error}.", f"{AGAIN}; do not edit the files by hand.")
    for place, part in folder.members.items():
        found = alone.invalid(part) if configs.NAME in part.files else _head_of(part)
        if not isinstance(found, Finding) and configs.NAME in part.files and part.name != place:
            found = failed(
                f"The adapter calls itself {part.name[:60]!r}, and the set-up knows it as {place!r}.", f"{AGAIN}."
            )
        if isinstance(found, Finding) and found.outcome == "failed":
            return _at(found, place)
    for place, fusion in folder.fusions.items():
        if isinstance(wrong := _fusion(fusion), Finding):
            return _at(wrong, place)
    return f"{setup}, of adapters with sound configs" + (f", under the head {some(heads)}." if heads else ".")


def _head_of(part: Library) -> str | Finding:
    try:
        wrong = alone.wrong_head(part.head_config)
    except configs.ConfigError as error:
        return failed(f"A config cannot be used: {error}.", f"{AGAIN}.")
    return failed(f"{wrong[0]}, {alone.NO_VALUE}.", f"{AGAIN}.") if wrong else "Sound."


def _fusion(fusion: Fusion) -> str | Finding:
    if FUSION_CONFIG not in fusion.files:
        return "Its config is missing, which file.missing says."
    try:
        method = fusion.method
    except configs.ConfigError as error:
        return failed(f"{FUSION_CONFIG} cannot be used: {error}.", f"{AGAIN}.")
    if wrong := fields.wrong(fusion.config, fields.FUSION):
        said = fields.said(fusion.config, wrong[0], FUSION_CONFIG)
        return failed(f"{said}, {alone.NO_VALUE}.", f"{AGAIN}.", keys=wrong)
    called = configs.text(fusion.config, "name")
    if called != fusion.name:
        return failed(f"The fusion calls itself {str(called)[:60]!r}, not {fusion.name!r}.", f"{AGAIN}.")
    if isinstance(method, str):
        if is_named_fusion(method):
            return "One of the library's."
        return failed(f"The library has no fusion {method[:40]!r}.", f"{AGAIN}.")
    if wrong := fields.wrong(method, FUSION_KEYS):
        return failed(f"{fields.said(method, wrong[0], FUSION_CONFIG)}, {alone.NO_VALUE}.", f"{AGAIN}.", keys=wrong)
    return "Sound."


def kind(folder: Composition) -> str | Finding:
    for place in folder.setup.adapters():
        found = alone.kind(folder.members[place])
        if isinstance(found, Finding):
            return _at(found, place)
    return f"{folder.library_kind} of the adapters library: {folder.setup}."


def missing(folder: Composition) -> str | Finding:
    """Which of the files are not there that the names in the set-up promise."""
    adapters = folder.setup.adapters()
    gone = [f"{n}/{file}" for n in adapters for file in (configs.NAME, WEIGHTS) if file not in folder.members[n].files]
    for place, fusion in folder.fusions.items():
        wanted = (FUSION_CONFIG, FUSION_WEIGHTS)
        gone += [f"{place}/{file}".lstrip("/") for file in wanted if file not in fusion.files]
    for place in folder.heads:
        wanted = (HEAD_CONFIG, HEAD_WEIGHTS)
        gone += [f"{place}/{file}".lstrip("/") for file in wanted if file not in folder.members[place].files]
    headless = [f"{n}/{HEAD_WEIGHTS}" for n in adapters if alone.headless(folder.members[n])]
    if not gone and headless:
        return failed(
            f"The weights of a head are missing: {some(headless)} is not beside its {HEAD_CONFIG}.",
            f"{AGAIN}.",
            missing=headless[:20],
        )
    if not gone:
        return f"All {len(adapters)} adapters and {len(folder.fusions)} fusions that it names are here."
    absent = [name for name in adapters if not folder.members[name].files]
    if folder.is_bare_fusion and absent:
        return failed(
            f"The fusion {folder.name} weighs the adapters {some(adapters)}, and {some(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not in the repository, so only its own files could be looked at.",
            f"Put each adapter in a folder of its name beside the fusion, or: {AGAIN}.",
            missing=gone[:20], proven="static",
        )  # fmt: skip
    return failed(f"It names {some(gone)}, which is not here.", f"{AGAIN}.", missing=gone[:20])


def header(folder: Composition) -> str | Finding:
    for place, part in folder.places:
        try:
            empty = not part.tensors
        except HeaderError as error:
            return failed(
                f"The weights in {place or 'the repository'} are no sound safetensors file: {error}.", f"{AGAIN}.",
                path=place,
            )  # fmt: skip
        if empty:
            return failed(f"The weights in {place} hold no tensor at all.", f"{AGAIN}.", path=place)
    return f"{len(folder.tensors):,} tensors with {folder.header.parameters:,} values; they cover their files exactly."


def not_finite(folder: Composition) -> str | Finding:
    for place, member in folder.members.items():
        if isinstance(found := alone.not_finite(member), Finding):
            return _at(found, place)
    for place, fusion in folder.fusions.items():
        for name, tensor in fusion.tensors.items():
            if any(has_not_finite(tensor.dtype, block) for block in fusion.blocks(tensor)):
                where = {"tensor": name, "path": place}
                return failed(f"{name} holds NaN or infinity.", "Train again with a smaller learning rate.", **where)
    return "All values are finite."


def each(ask: Callable[[Library], str | Finding]) -> Callable[[Composition], str | Finding]:
    """One check, asked of every adapter and head; what fails first is said, then what is warned of."""

    def asked(folder: Composition) -> str | Finding:
        answers = []
        for place, member in folder.members.items():
            member.base, member.known_bases = folder.base, folder.known_bases
            answers.append((place, ask(member)))
        found = [_at(answer, place) for place, answer in answers if isinstance(answer, Finding)]
        for outcome in ("failed", "warned", "skipped"):
            if told := next((finding for finding in found if finding.outcome == outcome), None):
                return told
        return f"{answers[0][1]} (So for all {len(answers)}.)" if len(answers) > 1 else str(answers[0][1])

    return asked


def unused(folder: Composition) -> str | Finding:
    found = each(alone.unused)(folder)
    return found if isinstance(found, Finding) else _strangers(folder, True) or "Every tensor belongs to its part."


def replaces_base(folder: Composition) -> str | Finding:
    found = each(alone.replaces_base)(folder)
    if isinstance(found, Finding):
        return found
    return _strangers(folder, False) or "No tensor would overwrite a weight of the base."


def _strangers(folder: Composition, anothers: bool) -> Finding | None:
    for place, fusion in folder.fusions.items():
        names = [n for n in fusion.tensors if not fusion.is_own(n) and fusion.is_anothers(n) is anothers]
        if names:
            what = "belong to another fusion" if anothers else "would overwrite weights of the base"
            return failed(f"{some(names)} {what} than {fusion.name}." if anothers else f"{some(names)} {what}.",
                          f"{AGAIN}.", tensors=names[:20], path=place)  # fmt: skip
    return None


def all_zero(folder: Composition) -> str | Finding:
    found = each(alone.all_zero)(folder)
    if isinstance(found, Finding):
        return found
    for place, fusion in folder.fusions.items():
        values = [tensor for name, tensor in fusion.tensors.items() if name.endswith(".value.weight")]
        if values and all(is_all_zero(tensor.dtype, block) for tensor in values for block in fusion.blocks(tensor)):
            return failed(
                "Every value matrix of the fusion is zero: nothing of the adapters comes through.",
                f"{AGAIN} after training.",
                path=place,
            )
    return found


def size(folder: Composition) -> str | Finding:
    total = sum(folder.sizes.values())
    if total <= files.LARGE_BYTES:
        return f"{total / 1e6:.1f} MB in all."
    return warned(f"Together it has {total / 1e9:.1f} GB.", "Look for whole embeddings inside.", bytes=total)


def _at(finding: Finding, place: str) -> Finding:
    if not place:
        return finding
    said = f"In {place}/: {finding.message}"
    return replace(finding, message=said, where={**finding.where, "path": place})


SOUND = ("file", "config.invalid", "config.kind")
WHOLE = (*SOUND, "tensors.unused", "tensors.replaces-base", "base.mismatch", "base.local-path", "base.unnamed")

CHECKS: tuple[Check[Composition], ...] = (
    Check("file.pickle", alone.pickle),
    Check("config.invalid", invalid),
    Check("file.missing", missing, ("file.pickle", "config.invalid")),
    Check("config.kind", kind, ("config.invalid", "file.missing")),
    Check("file.header", header, SOUND),
    Check("file.size", size, SOUND),
    Check("tensors.not-finite", not_finite, SOUND),
    Check("tensors.unused", unused, SOUND),
    Check("tensors.replaces-base", replaces_base, SOUND),
    Check("tensors.all-zero", all_zero, SOUND),
    Check("base.unnamed", each(alone.unnamed), SOUND),
    Check("base.local-path", each(alone.local_path), (*SOUND, "base")),
    Check("base.unknown", base.unknown, (*SOUND, "base")),
    Check("base.mismatch", each(alone.mismatch), (*SOUND, "base")),
    Check("fit.missing", alone.lacking, WHOLE),
    Check("fit.unexpected", alone.unexpected, WHOLE),
    Check("fit.shape", alone.shape, (*WHOLE, "fit.missing")),
    Check("card.license", card.license),
    Check("card.base", card.base, ("config.invalid",)),
    Check("card.task", card.task, ("config.invalid",)),
    Check("privacy.training-data", privacy.training_data, SOUND),
    Check("privacy.secret", privacy.secret),
)
