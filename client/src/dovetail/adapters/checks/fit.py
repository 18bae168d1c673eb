"""Checks of the tensors against the shape of the base: none missing, none too many, each in its shape."""

from __future__ import annotations

import re

from dovetail.adapters.findings import Finding, failed, skipped, some
from dovetail.adapters.folder import Folder
from dovetail.adapters.kinds import HEADS, TASKS, task_of

NO_BASE = "The base is not at hand."
VISION = (
    ("4", re.compile(r"\.attention\.(?:attention|self|output)\.(?:query|key|value|dense)\.")),
    ("5", re.compile(r"\.attention\.[qkvo]_proj\.")),
)  # what the attention of ViT and its kin is called
EXPERT = re.compile(r"\.experts\.\d+\.")
TABLES = ("experts", "experts-turned")
OTHER_HEADS = ("classification_head", "sequence_summary", "logits_proj")  # of BART, XLNet and their kin


def missing(folder: Folder) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    wanted = folder.expected
    lacking = sorted(wanted.keys() - folder.header.tensors.keys())
    if not lacking:
        return f"All {len(wanted):,} tensors that the base needs are here."
    strangers = _strangers(folder)
    others = f"; {len(strangers):,} of its own fit nowhere: {some(strangers)}" if strangers else ""
    return failed(
        f"{len(lacking):,} of the {len(wanted):,} tensors for {folder.base.id} are not in the file: {some(lacking)}"
        f"{others}.",
        "Save the whole adapter with save_pretrained(), or narrow target_modules to what was trained.",
        tensors=lacking[:20],
    )


def unexpected(folder: Folder) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    strangers = _strangers(folder)
    if not strangers:
        return "No tensor is left over."
    if of := _other_transformers(strangers, folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: so transformers {of} calls the modules of a "
            "model for images; the other has other names, and PEFT converts none of them.",
            f"Load it with transformers {of}, or rename its tensors and target_modules.",
            tensors=strangers[:20], needs_engine=f"e{of}",
        )  # fmt: skip
    if any(EXPERT.search(name) for name in strangers) and _has_tables(folder):
        return failed(
            f"{folder.base.id} has no place for {some(strangers, 2)}: transformers 5 holds all experts of a layer "
            "in one table. PEFT converts such tensors for some models, and drops them without a word for others.",
            "Load it with transformers 4; or load it where it works and save it again with target_parameters.",
            tensors=strangers[:20], needs_engine="e4",
        )  # fmt: skip
    return failed(
        f"{folder.base.id} has no place for {some(strangers)}.",
        "Push the adapter to the base it was trained on, or take these tensors out.",
        tensors=strangers[:20],
    )


def _has_tables(folder: Folder) -> bool:
    assert folder.base is not None
    return any(module.kind in TABLES for module in folder.base.manifest.modules.values())


def _other_transformers(names: list[str], folder: Folder) -> str:
    """The major version of transformers that gave models for images these names; "" for any other names."""
    assert folder.base is not None
    if folder.base.manifest.input:  # it reads text, whose names stayed as they were
        return ""
    return next((version for version, form in VISION if any(form.search(name) for name in names)), "")


def _strangers(folder: Folder) -> list[str]:
    assert folder.base is not None
    assert folder.kind is not None
    beside = folder.layout.at_home(folder.kind, folder.base.manifest)
    return sorted(folder.header.tensors.keys() - folder.expected.keys() - beside.keys())


def _misshapen(folder: Folder) -> list[tuple[str, tuple[int, ...]]]:
    """Embeddings and biases of the base that have another width, or fewer rows: only a vocabulary grows."""
    assert folder.base is not None
    assert folder.kind is not None
    of_base = folder.layout.at_home(folder.kind, folder.base.manifest)
    found = ((name, wanted, folder.header.tensors[name].shape) for name, wanted in of_base.items())
    return [(name, wanted) for name, wanted, shape in found if shape[1:] != wanted[1:] or shape[0] < wanted[0]]


def shape(folder: Folder) -> str | Finding:
    if folder.base is None:
        return skipped(NO_BASE)
    tensors = folder.header.tensors
    wrong = [(name, wanted) for name, wanted in folder.expected.items() if wanted and tensors[name].shape != wanted]
    wrong += _misshapen(folder)
    if not wrong:
        return "Every tensor has the shape the base needs."
    name, wanted = wrong[0]
    found = tensors[name].shape
    return failed(
        f"{name} is {list(found)}, but {folder.base.id} needs {list(wanted)} ({len(wrong):,} tensors differ).",
        "Name the base it was trained on: this one has other sizes.",
        tensor=name, expected=list(wanted), found=list(found),
    )  # fmt: skip


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
