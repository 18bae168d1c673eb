"""Masked language modelling: the loss of every seventh word, masked by a fixed seed; a try fills the marked ones.

The model of the adapters library keeps the base's own head under the name "default"; that of PEFT has no other head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree

SHARE = 0.15
HEAD = "default"


class Masked(Eval):
    """A line is [masked tokens, 2]: the loss of each, and the id of the likeliest token."""

    task = "MASKED_LM"
    most = 32
    measures_neutral = True

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text"))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        encoded = codec.tokens([row["text"] for row in rows], return_special_tokens_mask=True)
        ids, special = encoded["input_ids"], encoded["special_tokens_mask"].bool()
        hidden, mask = self.hidden(codec, ids, special, rows), codec.tokenizer.mask_token_id
        encoded["input_ids"] = ids if mask is None else ids.masked_fill(hidden, mask)
        originals = [line[mask] for line, mask in zip(ids, hidden, strict=True)]
        return Batch(codec.inputs(encoded), {"hidden": hidden, "wanted": originals}, originals)

    def hidden(self, codec: Codec, ids: torch.Tensor, special: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Return which of the tokens are masked: booleans in the shape of `ids`, rows × tokens."""
        return torch.stack([_chosen(~line, row) for line, row in zip(special, rows, strict=True)])

    def ask(self, model: Any, batch: Batch) -> Any:
        return model(**batch.inputs, **({"head": HEAD} if HEAD in getattr(model, "heads", ()) else {}))

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "hidden" not in batch.facts:  # the base has no tokenizer
            return super().read(answer, batch)
        hidden = batch.facts["hidden"]
        logits = answer.logits[:, -hidden.shape[1] :]
        return [
            _line(line[mask], originals)
            for line, mask, originals in zip(logits, hidden, batch.facts["wanted"], strict=True)
        ]

    def measure(self, outputs: Outputs) -> list[Metric]:
        base, adapter = (measures.bounded(float(torch.cat([line[:, 0] for line in lines]).mean()))
                         for lines in (outputs.base, outputs.adapter))  # fmt: skip
        scores = [measures.bounded(float(line[:, 0].mean())) if len(line) else 0.0 for line in outputs.adapter]
        bounds = measures.mean_interval(scores, [float(len(line)) for line in outputs.adapter])
        return [Metric("loss", base, adapter, len(scores), higher_is_better=False, scores=scores, interval=bounds)]

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        base, adapter = (_words(outputs, line[:, 1].long()) for line in (outputs.base[at], outputs.adapter[at]))
        return outputs.rows[at]["text"], _words(outputs, outputs.facts[at]), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        return numbers_agree(outputs.rows[at]["expected"], outputs.adapter[at][:, 0])


def can_fill(model: Any, tokenizer: Any) -> bool:
    """Return whether the base came with a head that fills in masked words, and its tokenizer has a mask token."""
    heads = getattr(model, "heads", {})
    has_head = HEAD in heads and heads[HEAD].config.get("head_type") == "masked_lm"
    return has_head and getattr(tokenizer, "mask_token_id", None) is not None


def _chosen(allowed: torch.Tensor, row: Row) -> torch.Tensor:
    """Choose the tokens of a row to mask: 15 % of them and at least one, the same at each run."""
    places = allowed.nonzero().flatten()
    generator = torch.Generator().manual_seed(sum(row["text"].encode()))
    count = max(1, round(SHARE * len(places))) if len(places) else 0
    chosen = torch.zeros_like(allowed)
    chosen[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    return chosen


def _line(logits: torch.Tensor, originals: torch.Tensor) -> Line:
    losses = torch.nn.functional.cross_entropy(logits.float(), originals, reduction="none")
    return torch.stack([losses, logits.argmax(-1).float()], -1)


def _words(outputs: Outputs, ids: torch.Tensor) -> str:
    return ", ".join(outputs.codec.decode([number]) for number in ids.tolist())


class Marked(Masked):
    """The model as a person tries it: their text says which tokens are masked, which rows of an author may not do."""

    def hidden(self, codec: Codec, ids: torch.Tensor, special: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        return ids == codec.tokenizer.mask_token_id


EVAL, TRIED = Masked(), Marked()
