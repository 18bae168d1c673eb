"""The facts of a push as trackers of experiments take them: labels and numbers."""

from dovetail.api.client import Pushed


def labels(pushed: Pushed) -> dict[str, str]:
    """Return what identifies the version, and the state of its verdict where it is known."""
    facts = {"adapter": pushed.adapter, "revision": pushed.revision, "url": pushed.url}
    if verdict := pushed.verdict:
        base = verdict.document.get("base") or {}
        facts |= {"verdict": verdict.state, "base": str(base.get("id") or "")}
        facts["failed_checks"] = " ".join(check.id for check in verdict.failed_checks)
    return {name: value for name, value in facts.items() if value}


def numbers(pushed: Pushed) -> dict[str, float]:
    """Return what the hub measured: for each evaluation the adapter's and the base's number."""
    found: dict[str, float] = {}
    for score in pushed.verdict.evals if pushed.verdict else ():
        for side, value in (("adapter", score.adapter), ("base", score.base)):
            if isinstance(value, int | float):
                found[f"{score.name}.{score.metric}.{side}"] = float(value)
    return found
