"""The methods of PEFT, one row for each that holds all that is known of it; what a row is made of is in `kind`."""

from __future__ import annotations

from dataclasses import dataclass

from dovetail.adapters.methods import lora, products, prompts, scales, shared, sparse


@dataclass(frozen=True, slots=True)
class NotRun:
    """One method. `since` is the first release of PEFT that has it, `fetches` the key whose value is fetched."""

    peft_type: str
    why: str
    since: str = ""
    fetches: str = ""


_NOT_RUN = (
    NotRun("XLORA", "it is a mixture of other adapters, which a loader would fetch by the paths in its config",
           since="0.12", fetches="adapters"),
    NotRun("SHADOW", "it runs beside a second model, which a loader would fetch by the name in its config",
           fetches="shadow_model"),
    NotRun("ADAMSS", "PEFT needs scikit-learn for it, to part the weights of the base into clusters at each load",
           since="0.19"),
    NotRun("BONE", "PEFT calls it MISS now", since="0.14"),
)  # fmt: skip
KINDS = (*lora.ROWS, *products.ROWS, *shared.ROWS, *sparse.ROWS, *scales.ROWS, *prompts.ROWS)
NOT_RUN = {row.peft_type: row for row in _NOT_RUN}
# The first release of PEFT that has a method; "" for 0.5 and before.
SINCE = {row.peft_type: row.since for row in (*KINDS, *_NOT_RUN)}
