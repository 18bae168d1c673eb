"""Checks of loading: does its library take the adapter, and is the base afterwards what it was before."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from dovetail.adapters.findings import Finding, failed, some
from dovetail.adapters.layout import EMBEDDINGS
from workers.engine.frozen import same
from workers.engine.trial import Trial

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def error(trial: Trial) -> str | Finding:
    """What the loader raises is the adapter's fault, since its config and names were made by us; the stage says so."""
    kind, base = trial.folder.config.get("peft_type"), trial.folder.base
    if kind == "PREFIX_TUNING" and base is not None and not base.manifest.prefix_width:
        return failed(
            f"Here {trial.frozen.config.model_type} takes no past keys and values, which prefix tuning needs.",
            "It loads with transformers 4 only (engine e4). Use prompt tuning, P-tuning or LoRA for transformers 5.",
            needs_engine="e4",
        )
    _, odd = trial.loaded
    if odd:
        return failed(
            f"{trial.loader} did not find a place or a value for {some(odd)}.",
            "Save the adapter again with the release that trained it.",
            tensors=odd[:20],
        )
    return f"{trial.loader} loaded it onto {trial.frozen.id}."


def changed_base(trial: Trial) -> str | Finding:
    kind, coarse = trial.folder.kind, _coarse(trial)
    allowed = {_in_base(name.removeprefix(kind.prefix)) for name in trial.folder.layout.biases} if kind else set()
    changed = [
        full.lstrip(".")
        for (table, name, full), wanted in trial.originals
        if full.lstrip(".") not in allowed
        and not (name in table and any(same(table[name], form) for form in _forms(full, wanted, coarse)))
    ]
    if not changed:
        return f"All {len(trial.originals):,} tensors of the base are bit for bit what they were."
    return failed(
        f"Loading and running it changed the base: {some(changed)}.",
        "Save only the adapter's own weights.",
        tensors=changed[:20],
    )


def _coarse(trial: Trial) -> set[torch.dtype]:
    """The dtypes below F32 in which the file holds embeddings of the base."""
    if trial.folder.kind is None:
        return set()
    return {DTYPES[one.dtype] for one in trial.folder.layout.embeddings.values() if one.dtype in DTYPES}


def _forms(full: str, wanted: torch.Tensor, coarse: set[torch.dtype]) -> Iterator[torch.Tensor]:
    """What a weight may be: itself, and for a table of embeddings itself rounded to the dtype it was saved in."""
    yield wanted
    if full.split(".")[-2] in EMBEDDINGS:
        for dtype in coarse:
            yield wanted.to(dtype).to(wanted.dtype)


def _in_base(name: str) -> str:
    """The name a parameter had before PEFT wrapped its module."""
    return name.replace(".base_layer", "").replace(".original_module", "")
