"""Masked language modelling: the loss of every seventh word, masked by a fixed seed.

The model of the adapters library keeps the base's own head under the name "default"; that of PEFT has no other head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.desk import Batch, Desk, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree

SHARE = 0.15
HEAD = "default"


class Masked(Eval):
    """A line is [masked tokens, 2]: the loss of each, and the number of the token that was thought likeliest."""

    task = "MASKED_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def batch(self, desk: Desk, rows: Sequence[Row]) -> Batch:
        said = desk.tokens([row["text"] for row in rows], return_special_tokens_mask=True)
        ids, special = said["input_ids"], said["special_tokens_mask"].bool()
        hidden = torch.stack([_chosen(~line, row) for line, row in zip(special, rows, strict=True)])
        mask = desk.tokenizer.mask_token_id
        said["input_ids"] = ids if mask is None else ids.masked_fill(hidden, mask)
        wanted = [line[mask] for line, mask in zip(ids, hidden, strict=True)]
        return Batch(desk.inputs(said), {"hidden": hidden, "wanted": wanted}, wanted)

    def ask(self, model: Any, batch: Batch) -> Any:
        return model(**batch.inputs, **({"head": HEAD} if HEAD in getattr(model, "heads", ()) else {}))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "hidden" not in batch.facts:  # of a base without a tokenizer
            return super().read(answer, batch)
        hidden = batch.facts["hidden"]
        logits = answer.logits[:, -hidden.shape[1] :]
        return [
            _line(line[mask], wanted) for line, mask, wanted in zip(logits, hidden, batch.facts["wanted"], strict=True)
        ]

    def measure(self, seen: Seen) -> list[Metric]:
        base, adapter = (measures.bounded(float(torch.cat([line[:, 0] for line in lines]).mean()))
                         for lines in (seen.base, seen.adapter))  # fmt: skip
        return [Metric("loss", base, adapter, len(seen.rows), higher_is_better=False)]

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        base, adapter = (_words(seen, line[:, 1].long()) for line in (seen.base[at], seen.adapter[at]))
        return seen.rows[at]["text"], _words(seen, seen.facts[at]), base, adapter

    def agrees(self, seen: Seen, at: int) -> bool | None:
        return numbers_agree(seen.rows[at]["expected"], seen.adapter[at][:, 0])


def can_fill(model: Any, tokenizer: Any) -> bool:
    """Whether the base came with a head that fills in masked words, and its tokenizer knows the mask."""
    heads = getattr(model, "heads", {})
    filled = HEAD in heads and heads[HEAD].config.get("head_type") == "masked_lm"
    return filled and getattr(tokenizer, "mask_token_id", None) is not None


def _chosen(allowed: torch.Tensor, row: Row) -> torch.Tensor:
    """Which tokens of a row are masked: 15 % of them and at least one, the same at each run."""
    places = allowed.nonzero().flatten()
    generator = torch.Generator().manual_seed(sum(row["text"].encode()))
    count = max(1, round(SHARE * len(places))) if len(places) else 0
    chosen = torch.zeros_like(allowed)
    chosen[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    return chosen


def _line(logits: torch.Tensor, wanted: torch.Tensor) -> Line:
    losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
    return torch.stack([losses, logits.argmax(-1).float()], -1)


def _words(seen: Seen, ids: torch.Tensor) -> str:
    return ", ".join(seen.desk.decode([number]) for number in ids.tolist())


EVAL = Masked()
