"""One line of the list of checks; the list itself is `dovetail.adapters.checks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dovetail.adapters.results.findings import Check, Finding

# The families of formats; each has its own reader.
PEFT, ADAPTERS, COMPOSITIONS, NOT_RUN = "peft", "adapters", "compositions", "not-run"
FAMILIES = (PEFT, ADAPTERS, COMPOSITIONS, NOT_RUN)

Ask = Callable[[Any], str | Finding]
# "files": runs on the files; "engine": runs on a loaded adapter; "told": reported by the validator itself;
# "hub": reported by the registry, which knows the other versions.
Stage = Literal["files", "engine", "told", "hub"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One check of the list.

    `ask` is one function for every family that answers the check, or a function for each family if their rules differ.
    `needs` are the checks and areas that must not have failed before it; `after` are additional ones by family.
    """

    id: str
    ask: Ask | Mapping[str, Ask] | None = None
    needs: Sequence[str] = ()
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stage: Stage = "files"

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    def of(self, family: str) -> Check[Any]:
        """Return the check for one family. Raises `KeyError` if the list has no function for it."""
        ask = self.ask[family] if isinstance(self.ask, Mapping) else self.ask
        if ask is None:
            raise KeyError(f"{self.id} does not run on files")
        return Check(self.id, ask, (*self.needs, *self.after.get(family, ())))


def ordered(checks: Sequence[Check[Any]]) -> tuple[Check[Any], ...]:
    """Return checks in the order of the list, but each after the checks that it needs by their full ids."""
    waiting, done = list(checks), list[Check[Any]]()
    while waiting:
        ids = {check.id for check in waiting}
        ready = next(check for check in waiting if not ids.intersection(check.needs))
        waiting.remove(ready)
        done.append(ready)
    return tuple(done)
