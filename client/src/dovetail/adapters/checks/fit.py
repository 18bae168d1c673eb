"""Checks of the tensors against the shape of the base: none missing, none too many, each in its shape."""

from __future__ import annotations

import re

from dovetail.adapters.formats import wrappers
from dovetail.adapters.methods.kinds import HEADS, TASKS, task_of
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some

NO_BASE = "The base is not at hand."
VISION = (
    ("4", re.compile(r"\.attention\.(?:attention|self|output)\.(?:query|key|value|dense)\.")),
    ("5", re.compile(r"\.attention\.[qkvo]_proj\.")),
)  # the names of attention modules in ViT and similar models, by major version of transformers
EXPERT = re.compile(r"\.experts\.\d+\.")
TABLES = ("experts", "experts-turned")
OTHER_HEADS = ("classification_head", "sequence_summary", "logits_proj")  # of BART, XLNet and similar models


def missing(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    needed = folder.expected
    lacking = sorted(needed.keys() - folder.tensors.keys())
    if not lacking:
        return f"All {len(needed):,} tensors that the base needs are here."
    strangers = folder.strangers
    if (wrapper := wrappers.explained(strangers, needed)) and len(strangers) >= len(lacking):
        return _wrapped(strangers, *wrapper)
    hint = f"; {len(strangers):,} of its own fit nowhere: {some(strangers)}" if strangers else ""
    return failed(
        f"{len(lacking):,} of the {len(needed):,} tensors for {folder.base.id} are not in the file: {some(lacking)}"
        f"{hint}.",
        f"{folder.again} Or narrow the modules in the config to those that were trained.",
        tensors=lacking[:20],
    )


def _wrapped(names: list[str], part: str, who: str) -> Finding:
    """Return the refusal of tensors that are all here, under the names of a wrapped model."""
    return failed(
        f"All {len(names):,} tensors are here, but {who} left {part!r} in their names ({names[0]}), so no loader finds "
        "them.",
        f"Rename them without {part + '.'!r}, or save the model that is wrapped: accelerator.unwrap_model(model)"
        ".save_pretrained(…). On a hub `dovetail repair` does the first.",
        tensors=names[:20],
        part=part,
    )


def unexpected(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    strangers = folder.strangers
    if not strangers:
        return "No tensor is left over."
    return _of_another_release(folder, strangers) or failed(
        f"{folder.base.id} has no place for {some(strangers)}.",
        "Name the base it was trained on and push the config of the same training run, or take these tensors out.",
        tensors=strangers[:20],
    )


def _of_another_release(folder: Folder, strangers: list[str]) -> Finding | None:
    """Return a refusal that explains tensors for another major version of transformers, else None."""
    assert folder.base is not None
    if folder.kind is None:
        return None
    if version := _other_transformers(strangers, folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: so transformers {version} calls the modules of a "
            "model for images; the other has other names, and PEFT converts none of them.",
            f"Load it with transformers {version}, or rename its tensors and target_modules.",
            tensors=strangers[:20],
            needs_engine=f"e{version}",
        )
    if any(EXPERT.search(name) for name in strangers) and _has_tables(folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: transformers 5 holds all experts of a layer "
            "in one table. PEFT converts such tensors for some models, and drops them without a word for others.",
            "Load it with transformers 4; or load it where it works and save it again with target_parameters.",
            tensors=strangers[:20],
            needs_engine="e4",
        )
    return None


def _has_tables(folder: Folder) -> bool:
    assert folder.base is not None
    return any(module.kind in TABLES for module in folder.base.manifest.modules.values())


def _other_transformers(names: list[str], folder: Folder) -> str:
    """Return the major version of transformers that uses these names in models for images, or ""."""
    assert folder.base is not None
    if folder.base.manifest.input:  # names in models for text did not change
        return ""
    return next((version for version, form in VISION if any(form.search(name) for name in names)), "")


def shape(folder: Folder) -> str | Finding:
    if folder.base is None or not folder.can_be_fitted:
        return skipped(NO_BASE)
    wrong = folder.misshapen
    if not wrong:
        return "Every tensor has the shape the base needs."
    name, expected = wrong[0]
    actual = folder.tensors[name].shape
    return failed(
        f"{name} is {list(actual)}, but {folder.base.id} needs {list(expected)} ({len(wrong):,} tensors differ).",
        "Name the base it was trained on: this one has other sizes.",
        tensor=name,
        expected=list(expected),
        found=list(actual),
    )


def random_head(folder: Folder) -> str | Finding:
    task = task_of(folder.config)
    heads = HEADS.get(str(task))
    if heads is None:
        return skipped("This task needs no head of its own.")
    if any(f".{head}." in f".{name}." for name in folder.header.tensors for head in (*heads, *OTHER_HEADS)):
        return f"The trained head is in the file ({folder.layout.labels or '?'} outputs)."
    if task == "IMAGE_CLS" and folder.base is not None and folder.base.head_task == task:
        return "It keeps the head that the base brings."
    before = "task_type set before get_peft_model(), or " if task in TASKS else ""
    return failed(
        f"The task is {task}, but no {' or '.join(heads)} is in the file; loaders make one up.",
        f"Train with {before}modules_to_save={list(heads[:1])}, and save again.",
        heads=list(heads),
    )
