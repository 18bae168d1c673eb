"""The facts that trainers state in a folder, as lines for people: one for each file."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any


def lines(stated: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each file with facts, one for the losses, and one for the trigger words."""
    for file, facts in groupby(stated.get("facts") or (), key=lambda fact: str(fact["source"]).partition(":")[0]):
        pairs = [f"{fact['name']} {_plain(fact['value'])}" for fact in facts]
        yield f"  stated  {file}: {', '.join(pairs)}"
    if losses := stated.get("losses"):
        (first, loss), (last, end) = losses[0], losses[-1]
        source = str(stated.get("losses_source")).partition(":")[0]
        yield f"  stated  {source}: loss {loss:.4g} at step {first:.0f}, {end:.4g} at step {last:.0f}"
    if words := stated.get("words"):
        yield f"  words   {', '.join(words)}"


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
