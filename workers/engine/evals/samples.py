"""A few rows side by side, for people: what the base says of them, without and with the adapter; short and plain."""

from __future__ import annotations

from workers.engine.evals.task import Eval, Seen, spread

MOST = 4
LONGEST = 300


def shown(evaluation: Eval, seen: Seen) -> list[dict[str, str]]:
    """Rows evenly apart, or those that were written out; `expected` only where somebody says what is right."""
    chosen = [sorted(seen.written)[at] for at in spread(len(seen.written), MOST)] or spread(len(seen.rows), MOST)
    return [_sample(*evaluation.shown(seen, at)) for at in chosen]


def _sample(text: str, wanted: str, base: str, adapter: str) -> dict[str, str]:
    said = {"input": _cut(text), "base": _cut(base), "adapter": _cut(adapter)}
    return said | ({"expected": _cut(wanted)} if wanted else {})


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
