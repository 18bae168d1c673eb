"""Checks of loading: the library loads the adapter, and the base does not change."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, some
from dovetail.adapters.shapes.layout import EMBEDDINGS
from workers.engine.models.fingerprint import same
from workers.engine.models.frozen import Place
from workers.engine.trials.trial import Trial

Originals = Sequence[tuple[Place, torch.Tensor]]
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def error(trial: Trial) -> str | Finding:
    """Load the adapter. The stage reports an exception of the loader as the adapter's: config and names are ours."""
    kind, base = trial.folder.kind, trial.folder.base
    if kind is not None and kind.is_prefix and base is not None and not base.manifest.prefix_width:
        return failed(
            f"{type(trial.base).__name__} takes no past keys and values from PEFT, which make up {kind.peft_type}.",
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
    changed = not_allowed(trial.folder, trial.originals)
    if not changed:
        return f"All {len(trial.originals):,} tensors of the base are bit for bit what they were."
    return failed(
        f"Loading and running it changed the base: {some(changed)}.",
        "Save only the adapter's own weights.",
        tensors=changed[:20],
    )


def not_allowed(folder: Folder, originals: Originals) -> list[str]:
    """Return the names of changed weights of the base, without biases and roundings that the file may bring."""
    kind, coarse = folder.kind, _coarse(folder)
    allowed = {_in_base(name.removeprefix(kind.prefix)) for name in folder.layout.biases} if kind else set()
    return [
        full.lstrip(".")
        for (table, name, full), original in originals
        if full.lstrip(".") not in allowed
        and not (name in table and (same(table[name], original) or _is_rounded(full, table[name], original, coarse)))
    ]


def _coarse(folder: Folder) -> set[torch.dtype]:
    """Return the dtypes below F32 in which the file holds embeddings of the base."""
    if folder.kind is None:
        return set()
    return {DTYPES[tensor.dtype] for tensor in folder.layout.embeddings.values() if tensor.dtype in DTYPES}


def _is_rounded(full: str, tensor: torch.Tensor, original: torch.Tensor, coarse: set[torch.dtype]) -> bool:
    """Return whether a table of embeddings only changed by rounding to the dtype in the file.

    A base in bfloat16 has lost the bits below its own precision: there the last bit may differ.
    """
    if full.split(".")[-2] not in EMBEDDINGS or not coarse:
        return False
    if any(same(tensor, original.to(dtype).to(original.dtype)) for dtype in coarse):
        return True
    rows = tensor[: original.shape[0]].cpu()
    if original.dtype is not torch.bfloat16 or rows.shape != original.shape or rows.dtype != original.dtype:
        return False
    return bool(torch.allclose(rows.float(), original.float(), rtol=2.0**-7, atol=2.0**-24))


def _in_base(name: str) -> str:
    """Return the name that a parameter had before PEFT wrapped its module."""
    return name.replace(".base_layer", "").replace(".original_module", "")
