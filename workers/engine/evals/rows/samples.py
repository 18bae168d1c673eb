"""A few rows with the answers of base and adapter, short and plain, for people."""

from __future__ import annotations

from dovetail.adapters.results.report import Sample
from workers.engine.evals.task import Eval, Outputs, spread

MOST = 4
LONGEST = 300


def samples_of(evaluation: Eval, outputs: Outputs) -> tuple[Sample, ...]:
    """Return rows evenly apart, or those with generated texts; `expected` is None if no row says what is right."""
    chosen = [sorted(outputs.written)[at] for at in spread(len(outputs.written), MOST)] or spread(
        len(outputs.rows), MOST
    )
    return tuple(_sample(*evaluation.sample(outputs, at)) for at in chosen)


def _sample(text: str, expected: str, base: str, adapter: str) -> Sample:
    return Sample(_cut(text), _cut(expected) if expected else None, _cut(base), _cut(adapter))


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
