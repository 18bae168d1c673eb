"""Checks of running: finite, with an effect, the same twice, and at what price."""

from __future__ import annotations

import resource

import torch

from dovetail.adapters.findings import Finding, failed, warned
from workers.engine.trial import Trial

NOISE = 1e-6  # of the largest output: what the order of additions alone can make
FAINT = 1e-4
SLOW = 5.0


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
    base = trial.without_adapter.output
    delta = (trial.with_adapter.output - base).abs().max().item()
    if delta <= NOISE * max(1.0, base.abs().max().item()):
        return failed(
            f"The outputs with and without the adapter are the same (largest difference {delta:.1e}).",
            "Save the adapter after training, and check that its modules exist in the base.",
            difference=delta,
        )
    if delta <= FAINT:
        return warned(
            f"The adapter hardly changes anything: at most {delta:.1e}.",
            "Check that training had an effect.",
            difference=delta,
        )
    return f"The adapter changes the outputs by up to {delta:.3g}."


def not_deterministic(trial: Trial) -> str | Finding:
    again = trial.again.output
    before = trial.with_adapter.output[: len(again)]
    if torch.equal(again, before):
        return f"Two runs of {len(again)} rows gave the same outputs, bit for bit."
    delta = (again - before).abs().max().item()
    return failed(
        f"Two runs on the same rows differ by up to {delta:.1e}.",
        "Save it in evaluation mode, without dropout or sampling.",
        difference=delta,
    )


def cost(trial: Trial) -> str | Finding:
    ratio = trial.again.first_s / max(trial.without_adapter.first_s, 1e-9)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = f"A run takes {ratio:.2f} times the base's, {trial.again.first_s * 1000:.0f} ms; peak memory {peak:,.0f} MB."
    if ratio <= SLOW:
        return said
    return warned(said, "A smaller rank or fewer target modules make it cheaper.", ratio=round(ratio, 2))
