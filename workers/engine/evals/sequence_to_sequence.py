"""Text to text: the loss of the target, and ROUGE-L of sixteen tokens written greedily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.causal import looping, same_start
from workers.engine.evals.desk import Batch, Desk, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree, spread

LIMIT = 64  # tokens of a target
WRITTEN = 8  # rows that are written out


class SequenceToSequence(Eval):
    """A line is the logits of the last token of the target, then the mean loss of the target."""

    task = "SEQ_2_SEQ_LM"
    most = 32

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text")) and is_text(row.get("target"))

    def size(self, row: Row) -> int:
        return len(row["text"]) + len(row.get("target", ""))

    def batch(self, desk: Desk, rows: Sequence[Row]) -> Batch:
        plain = super().batch(desk, rows)
        if not all("target" in row for row in rows):
            return plain
        said = desk.tokens(text_target=[row["target"] for row in rows], limit=min(desk.limit, LIMIT))
        wanted, mask = said["input_ids"], said["attention_mask"]
        start = desk.config.decoder_start_token_id
        first = torch.full_like(wanted[:, :1], 0 if start is None else start)
        given = torch.cat([first, wanted[:, :-1]], 1)
        return Batch({**plain.inputs, "decoder_input_ids": given}, {"wanted": wanted, "mask": mask})

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "wanted" not in batch.facts:
            return super().read(answer, batch)
        wanted, mask = batch.facts["wanted"], batch.facts["mask"]
        logits = answer.logits[:, -wanted.shape[1] :]
        return [_line(logits[at, :count], wanted[at, :count]) for at, count in enumerate(mask.sum(1).tolist())]

    def measure(self, seen: Seen) -> list[Metric]:
        if not any("target" in row for row in seen.rows):
            return []
        base, adapter = (measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
                         for lines in (seen.base, seen.adapter))  # fmt: skip
        found = [Metric("loss", base, adapter, len(seen.rows), higher_is_better=False)]
        if seen.written:
            scored = [[measures.rouge_l(text, _start(seen, at)) for text in both] for at, both in seen.written.items()]
            base, adapter = (measures.mean([pair[who] for pair in scored]) for who in (0, 1))
            found.append(Metric("rouge-l", base, adapter, len(scored), rough=True))
        return found

    def prompts(self, seen: Seen) -> Mapping[int, str]:
        return {at: seen.rows[at]["text"] for at in spread(len(seen.rows), WRITTEN)}

    def degenerate(self, seen: Seen) -> str:
        said = [(seen.rows[at], base, adapter) for at, (base, adapter) in seen.written.items()]
        empty = sum(not adapter and bool(base) for _, base, adapter in said)
        if 2 * empty > len(said):
            return f"It answers nothing to {empty} of {len(said)} texts, where the base answers something."
        copied = sum(
            bool(adapter) and row["text"].startswith(adapter) and not str(row.get("target", "")).startswith(adapter)
            for row, _, adapter in said
        )
        if 2 * copied > len(said):
            return f"It copies the beginning of its input in {copied} of {len(said)} texts."
        return looping(seen)

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        row = seen.rows[at]
        base, adapter = seen.written.get(at, ("", ""))
        return row["text"], row.get("target", ""), base, adapter

    def agrees(self, seen: Seen, at: int) -> bool | None:
        wanted = seen.rows[at]["expected"]
        if not isinstance(wanted, str):
            return numbers_agree(wanted, seen.adapter[at][:-1])
        return same_start(seen.written[at][1], wanted) if at in seen.written else None


def _line(logits: torch.Tensor, wanted: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits.float(), wanted)
    return torch.cat([logits[-1].float(), loss[None]])


def _start(seen: Seen, at: int) -> str:
    """As much of the target as was written at most."""
    ids = seen.desk.tokens(text_target=[seen.rows[at]["target"]], limit=16)["input_ids"][0]
    return seen.desk.decode(ids.tolist())


EVAL = SequenceToSequence()
