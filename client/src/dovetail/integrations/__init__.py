"""Dovetail in trainers and trackers of experiments, which take the facts of a push as labels and numbers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # an engine imports a module of this folder, and has no client
    from dovetail.api.client import Pushed


def push_labels(pushed: "Pushed") -> dict[str, str]:
    """Return what identifies the version, and the state of its verdict where it is known."""
    facts = {"adapter": pushed.adapter, "revision": pushed.revision, "url": pushed.url}
    if verdict := pushed.verdict:
        base = verdict.document.get("base") or {}
        facts |= {"verdict": verdict.state, "base": str(base.get("id") or "")}
        facts["failed_checks"] = " ".join(check.id for check in verdict.failed_checks)
    return {name: value for name, value in facts.items() if value}


def push_numbers(pushed: "Pushed") -> dict[str, float]:
    """Return what the hub measured: for each evaluation the adapter's and the base's number."""
    found: dict[str, float] = {}
    for score in pushed.verdict.evals if pushed.verdict else ():
        for side, value in (("adapter", score.adapter), ("base", score.base)):
            if isinstance(value, int | float):
                found[f"{score.name}.{score.metric}.{side}"] = float(value)
    return found
