"""Checks of loading and running: the library loads the adapter, the base does not change, outputs are finite, have an
effect, are the same twice and after merging, and cost little.
"""

import resource
from collections.abc import Sequence

import torch

from dovetail.adapters.formats import description
from dovetail.adapters.readers import library
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned
from dovetail.adapters.results.report import Cost
from dovetail.adapters.shapes.layout import EMBEDDINGS
from workers.engine.models.restoration import same
from workers.engine.models.structure import Place
from workers.engine.trials.trial import NOISE, CannotMerge, Timed, Trial

FAINT = 1e-4
SLOW = 5.0
ROUNDING = 1e-5  # relative to the largest output: methods that project their weights at the first forward stay below
MERGED, BROKEN = 1e-4, 0.05  # relative to the largest output: differences up to rounding, and beyond it
WEIGHT_FILES = (description.WEIGHTS, library.WEIGHTS, library.HEAD_WEIGHTS)


def not_finite(trial: Trial) -> str | Finding:
    output = trial.with_adapter.output
    bad = int((~torch.isfinite(output)).sum())
    if not bad:
        return f"All {output.numel():,} outputs are finite ({trial.rows.name} rows)."
    return failed(
        f"{bad:,} of {output.numel():,} outputs are NaN or infinite.",
        "Train again with a smaller learning rate or lora_alpha.",
        found=bad,
    )


def no_effect(trial: Trial) -> str | Finding:
    delta, scale = _difference(trial.with_adapter.output, trial.without_adapter.output)
    if delta <= NOISE * scale and trial.on_trained_tokens is not None:
        delta, scale = _difference(*trial.on_trained_tokens)
    if delta <= NOISE * scale and (alpha := _zero_alpha(trial)):
        return failed(
            f"The outputs with and without the adapter are equal: {alpha} is 0, which scales all its matrices by 0.",
            f"Set {alpha} in adapter_config.json to its value in the training run, and push again.",
            difference=delta,
        )
    if delta <= NOISE * scale:
        return failed(
            f"The outputs with and without the adapter are equal (largest difference {delta:.1e}).",
            "Save the adapter after training, and check that its modules exist in the base.",
            difference=delta,
        )
    if trial.idle:
        return failed(
            f"The outputs of the composition do not change without {some(trial.idle)}.",
            "Remove it from the composition, or save it after training.",
            parts=trial.idle[:20],
        )
    # Both runs add in the same order, so a difference below rounding still comes from the adapter: faint, not absent.
    if delta <= max(FAINT, trial.frozen.noise * scale):
        return warned(
            f"The adapter changes the outputs by at most {delta:.1e}, which is almost nothing.",
            "Check that the training had an effect.",
            difference=delta,
        )
    return f"The adapter changes the outputs by up to {delta:.3g}."


def _zero_alpha(trial: Trial) -> str:
    """Return the key of the config that switches every module of a LoRA off, "" if none does."""
    scales = trial.folder.scales if trial.folder.kind is not None else {}
    if not scales or any(scales.values()):
        return ""
    return "alpha_pattern" if trial.folder.config.get("lora_alpha") else "lora_alpha"


def _difference(adapter: torch.Tensor, base: torch.Tensor) -> tuple[float, float]:
    """Return the largest difference between outputs with and without the adapter, and the scale of the base's."""
    return (adapter - base).abs().max().item(), max(1.0, base.abs().max().item())


def not_deterministic(trial: Trial) -> str | Finding:
    again, before = (torch.cat([line.flatten() for line in lines]) for lines in _pair(trial, trial.again))
    rows = len(trial.again.lines)
    if torch.equal(again, before):
        return f"Two runs of {rows} rows gave exactly the same outputs."
    delta = (again - before).abs().max().item()
    third = torch.cat([line.flatten() for line in trial.once_more.lines])
    if delta <= ROUNDING * max(1.0, before.abs().max().item()) and torch.equal(third, again):
        return (
            f"Its first run initialises weights (difference {delta:.1e}); two later runs of {rows} rows gave "
            "the same outputs."
        )
    return failed(
        f"Two runs on the same rows differ by up to {delta:.1e}.",
        "Save it in evaluation mode, without dropout or sampling.",
        difference=delta,
    )


def random_weights(trial: Trial) -> str | Finding:
    """Compare the outputs with those after another draw of what neither base nor file has, as a classifier's pooler."""
    if not trial.drawn:
        return "Every weight of the model is in its base or in the file."
    after, before = (torch.cat([line.flatten() for line in lines]) for lines in _pair(trial, trial.drawn_anew))
    names = sorted(full.lstrip(".") for full in trial.drawn)
    scale = max(1.0, before.abs().max().item())
    delta = (after - before).abs().max().item()
    if delta <= max(MERGED, 10 * trial.frozen.noise) * scale:
        return f"Neither its base nor the file has {some(names)}, but its outputs do not depend on it."
    inside = f"{trial.base.base_model_prefix}."
    modules = sorted({name.removeprefix(inside).partition(".")[0] for name in names})
    return Finding(
        "failed" if not delta <= BROKEN * scale else "warned",
        f"Neither {trial.frozen.id} nor the file has {some(names)}: each load draws random values, which "
        f"change the outputs by up to {delta:.3g}; the largest output is {scale:.3g}.",
        f"Train again with {', '.join(modules)} in modules_to_save beside the head, or on a base that has them.",
        {"tensors": names[:20], "difference": delta if delta == delta else None, "largest": scale},
    )


def _pair(trial: Trial, timed: Timed) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
    """Return the outputs for the first rows of another run, and of the first run."""
    return timed.lines, trial.with_adapter.lines[: len(timed.lines)]


def cost(trial: Trial) -> str | Finding:
    ratio = trial.slowness(SLOW)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory_mb = round(max(0, peak - trial.began_with) / 1024, 1)
    adapter_mb = round(sum(trial.folder.sizes.get(path, 0) for path in WEIGHT_FILES) / 1e6, 3)
    trial.cost = Cost(round(ratio, 2), memory_mb, adapter_mb)
    message = (
        f"A run takes {ratio:.2f} times as long as the base's, {trial.again.first_s * 1000:.0f} ms for "
        f"{len(trial.again.lines)} rows; it used {memory_mb:,.0f} MB on top of the base."
    )
    if ratio <= SLOW:
        return message
    return warned(message, "A smaller rank or fewer target modules make it faster.", ratio=round(ratio, 2))


def merge(trial: Trial) -> str | Finding:
    """Compare the outputs before and after merging the adapter into its base's weights, as some servers do."""
    try:
        after, before = (torch.cat([line.flatten() for line in lines]) for lines in _pair(trial, trial.after_merge))
    except CannotMerge as problem:
        return skipped(f"It cannot be merged into its base: {problem}.")
    scale = max(1.0, before.abs().max().item())
    delta = (after - before).abs().max().item()
    if delta <= max(MERGED, 10 * trial.frozen.noise) * scale:
        return f"Merged into its base it gives the same outputs, within {delta:.1e}."
    message = f"Merged into its base its outputs differ by up to {delta:.3g}; the largest output is {scale:.3g}."
    fix = "Serve it unmerged; or train it in the dtype it is merged in, with a smaller lora_alpha."
    where = {"difference": delta if delta == delta else None, "largest": scale}
    if _is_tied(trial):
        return warned(f"{message} The table it adapts is also the output layer, which is not adapted.", fix, **where)
    return Finding("failed" if not delta <= BROKEN * scale else "warned", message, fix, where)


def _is_tied(trial: Trial) -> bool:
    """Return whether the adapter changes embeddings that are also the base's output layer: merging changes both."""
    kind, tied = trial.folder.kind, bool(getattr(trial.base.config, "tie_word_embeddings", False))
    tables = (path.rpartition(".")[2] for path in trial.folder.layout.modules) if kind else ()
    return tied and any(name in EMBEDDINGS for name in tables)


Originals = Sequence[tuple[Place, torch.Tensor]]
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def error(trial: Trial) -> str | Finding:
    """Load the adapter. The stage reports an exception of the loader as the adapter's: config and names are ours."""
    kind, base = trial.folder.kind, trial.folder.base
    if kind is not None and kind.is_prefix and base is not None and not base.manifest.prefix_width:
        return failed(
            f"{type(trial.base).__name__} accepts no past keys and values from PEFT, which {kind.peft_type} "
            "consists of.",
            "It loads with transformers 4 only (engine e4). Use prompt tuning, P-tuning or LoRA for transformers 5.",
            needs_engine="e4",
        )
    _, odd = trial.loaded
    if odd:
        return failed(
            f"{trial.loader} found no place or no value for {some(odd)}.",
            "Save the adapter again with the release that trained it.",
            tensors=odd[:20],
        )
    return f"{trial.loader} loaded it onto {trial.frozen.id}."


def changed_base(trial: Trial) -> str | Finding:
    changed = not_allowed(trial.folder, trial.originals)
    if not changed:
        return f"All {len(trial.originals):,} tensors of the base are unchanged."
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
