"""Extractive question answering: the best span of the context, by F1 over words and by exact match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import builtin, measures
from workers.engine.evals.desk import Batch, Desk, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree

LONGEST = 30  # tokens of an answer, as SQuAD's own script looks for


class QuestionAnswering(Eval):
    """A line is [tokens of the context, 2]: start and end logits. A row's facts say where each token lies."""

    task = "QUESTION_ANS"
    shifts_itself = True
    most = 64
    builtin = builtin.QUESTION_ROWS

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("question")) and is_text(row.get("context")) and bool(_answers(row))

    def size(self, row: Row) -> int:
        return len(row["question"]) + len(row["context"])

    def batch(self, desk: Desk, rows: Sequence[Row]) -> Batch:
        texts = [row["question"] for row in rows], [row["context"] for row in rows]
        if not desk.tokenizer.is_fast:
            return Batch(desk.inputs(desk.tokens(*texts)))
        said = desk.tokens(*texts, return_offsets_mapping=True)
        inside = torch.tensor([[part == 1 for part in said.sequence_ids(at)] for at in range(len(rows))])
        places = [spans[mask] for spans, mask in zip(said["offset_mapping"], inside, strict=True)]
        return Batch(desk.inputs(said), {"inside": inside}, places)

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        weights = batch.weights.bool()
        width = weights.shape[1]
        said = torch.stack([answer.start_logits[:, -width:], answer.end_logits[:, -width:]], -1)
        counts = batch.facts.get("inside", weights)
        return [line[mask] for line, mask in zip(said, counts, strict=True)]

    def measure(self, seen: Seen) -> list[Metric]:
        if not any("answers" in row for row in seen.rows):
            return []
        said = [
            [row["context"] for row in seen.rows],  # what is right without a model: the answer is somewhere in it
            [_answer(seen, at, seen.adapter) for at in range(len(seen.rows))],
            [_answer(seen, at, seen.base) for at in range(len(seen.rows))],
        ]
        rows = len(seen.rows)
        f1 = [measures.mean([_best(measures.overlap, text, row) for text, row in zip(texts, seen.rows, strict=True)])
              for texts in said]  # fmt: skip
        exact = [measures.mean([_best(_exactly, text, row) for text, row in zip(texts, seen.rows, strict=True)])
                 for texts in said]  # fmt: skip
        return [
            Metric("f1", f1[0], f1[1], rows, head_alone=f1[2]),
            Metric("exact-match", exact[0], exact[1], rows, head_alone=exact[2]),
        ]

    def degenerate(self, seen: Seen) -> str:
        """Where start and end are looked for one by one, the start should come first."""
        ends = [line.argmax(0).tolist() for line in seen.adapter if len(line)]
        backwards = sum(start > end for start, end in ends)
        if 2 * backwards > len(ends):
            return (
                f"In {backwards} of {len(ends)} rows the likeliest end of the answer lies before its likeliest start."
            )
        return ""

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        row = seen.rows[at]
        base, adapter = (_answer(seen, at, lines) for lines in (seen.base, seen.adapter))
        return f"{row['question']} | {row['context']}", next(iter(_answers(row)), ""), base, adapter

    def agrees(self, seen: Seen, at: int) -> bool | None:
        row = seen.rows[at]
        if isinstance(row["expected"], str):
            return bool(_exactly(_answer(seen, at, seen.adapter), row["expected"]))
        return numbers_agree(row["expected"], seen.adapter[at])


def _answers(row: Row) -> list[str]:
    """One text, a list of texts, or SQuAD's {"text": [...], "answer_start": [...]}."""
    said = row.get("answers")
    said = said.get("text") if isinstance(said, dict) else said
    said = [said] if isinstance(said, str) else said
    return [text for text in said if is_text(text)] if isinstance(said, list) else []


def _answer(seen: Seen, at: int, lines: Sequence[Line]) -> str:
    """The likeliest span of the context, which ends where it starts or later."""
    line, places = lines[at], seen.facts[at]
    if places is None or not len(line):
        return ""
    scores = line[:, None, 0] + line[None, :, 1]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(LONGEST - 1)
    start, end = divmod(int(scores.masked_fill(~allowed, float("-inf")).argmax()), len(line))
    return str(seen.rows[at]["context"])[int(places[start, 0]) : int(places[end, 1])]


def _best(count: Any, text: str, row: Row) -> float:
    return max(float(count(text, answer)) for answer in _answers(row))


def _exactly(found: str, wanted: str) -> bool:
    return measures.answer_words(found) == measures.answer_words(wanted)


EVAL = QuestionAnswering()
