"""Text to text: the loss of the target, and ROUGE-L of sixteen tokens written greedily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.causal import last_numbers, looping, same_start
from workers.engine.evals.codec import Batch, Codec, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree, spread

LIMIT = 64  # tokens of a target
WRITTEN = 8  # rows for which text is generated


class SequenceToSequence(Eval):
    """A line is the logits of the last token of the target, then the mean loss of the target."""

    task = "SEQ_2_SEQ_LM"
    most = 32

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("text")) and is_text(row.get("target"))

    def size(self, row: Row) -> int:
        return len(row["text"]) + len(row.get("target", ""))

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        plain = super().batch(codec, rows)
        if not all("target" in row for row in rows):
            return plain
        encoded = codec.tokens(text_target=[row["target"] for row in rows], limit=min(codec.limit, LIMIT))
        targets, mask = encoded["input_ids"], encoded["attention_mask"]
        start = codec.config.decoder_start_token_id
        first = torch.full_like(targets[:, :1], 0 if start is None else start)
        decoder_ids = torch.cat([first, targets[:, :-1]], 1)
        return Batch({**plain.inputs, "decoder_input_ids": decoder_ids}, {"wanted": targets, "mask": mask})

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        if "wanted" not in batch.facts:
            return super().read(answer, batch)
        targets, mask = batch.facts["wanted"], batch.facts["mask"]
        logits = answer.logits[:, -targets.shape[1] :]
        return [_line(logits[at, :count], targets[at, :count]) for at, count in enumerate(mask.sum(1).tolist())]

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("target" in row for row in outputs.rows):
            return []
        base, adapter = (measures.bounded(float(torch.stack([line[-1] for line in lines]).mean()))
                         for lines in (outputs.base, outputs.adapter))  # fmt: skip
        scores = last_numbers(outputs.adapter)
        bounds = measures.mean_interval(scores)
        metrics = [Metric("loss", base, adapter, len(scores), higher_is_better=False, scores=scores, interval=bounds)]
        if outputs.written:
            scored = [
                [measures.rouge_l(text, _start(outputs, at)) for text in both] for at, both in outputs.written.items()
            ]
            base, adapter = (measures.mean(scores) for scores in zip(*scored, strict=True))
            metrics.append(Metric("rouge-l", base, adapter, len(scored), rough=True))
        return metrics

    def prompts(self, outputs: Outputs) -> Mapping[int, str]:
        return {at: outputs.rows[at]["text"] for at in spread(len(outputs.rows), WRITTEN)}

    def degenerate(self, outputs: Outputs) -> str:
        texts = [(outputs.rows[at], base, adapter) for at, (base, adapter) in outputs.written.items()]
        empty = sum(not adapter and bool(base) for _, base, adapter in texts)
        if 2 * empty > len(texts):
            return f"It answers nothing to {empty} of {len(texts)} texts, where the base answers something."
        copied = sum(
            bool(adapter) and row["text"].startswith(adapter) and not str(row.get("target", "")).startswith(adapter)
            for row, _, adapter in texts
        )
        if 2 * copied > len(texts):
            return f"It copies the beginning of its input in {copied} of {len(texts)} texts."
        return looping(outputs)

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        base, adapter = outputs.written.get(at, ("", ""))
        return row["text"], row.get("target", ""), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        expected = outputs.rows[at]["expected"]
        if not isinstance(expected, str):
            return numbers_agree(expected, outputs.adapter[at][:-1])
        return same_start(outputs.written[at][1], expected) if at in outputs.written else None


def _line(logits: torch.Tensor, target: torch.Tensor) -> Line:
    loss = torch.nn.functional.cross_entropy(logits.float(), target)
    return torch.cat([logits[-1].float(), loss[None]])


def _start(outputs: Outputs, at: int) -> str:
    """Return the beginning of the target, as long as a generated text."""
    ids = outputs.codec.tokens(text_target=[outputs.rows[at]["target"]], limit=16)["input_ids"][0]
    return outputs.codec.decode(ids.tolist())


EVAL = SequenceToSequence()
