"""The methods of PEFT that are known by name and not run here, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotRun:
    """One method. `since` is the first release of PEFT that has it, `fetches` the key whose value is fetched."""

    peft_type: str
    why: str
    since: str = ""
    fetches: str = ""


ROWS = (
    NotRun("XLORA", "it is a mixture of other adapters, which a loader would fetch by the paths in its config",
           since="0.12", fetches="adapters"),
    NotRun("SHADOW", "it runs beside a second model, which a loader would fetch by the name in its config",
           fetches="shadow_model"),
    NotRun("ADAMSS", "PEFT needs scikit-learn for it, to part the weights of the base into clusters at each load",
           since="0.19"),
    NotRun("BONE", "PEFT calls it MISS now", since="0.14"),
)  # fmt: skip
