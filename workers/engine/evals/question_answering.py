"""Extractive question answering: the best span of the context, by F1 over words and by exact match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dovetail.adapters.results import paired
from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_text
from workers.engine.evals.measures import Metric
from workers.engine.evals.rows import builtin
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree

LONGEST = 30  # tokens of an answer, as in SQuAD's own script


class QuestionAnswering(Eval):
    """A line is [tokens of the context, 2]: start and end logits. A row's facts are the offsets of its tokens."""

    task = "QUESTION_ANS"
    shifts_itself = True
    most = 64
    builtin = builtin.QUESTION_ROWS

    def is_row(self, row: Row) -> bool:
        return is_text(row.get("question")) and is_text(row.get("context")) and bool(_answers(row))

    def size(self, row: Row) -> int:
        return len(row["question"]) + len(row["context"])

    def batch(self, codec: Codec, rows: Sequence[Row]) -> Batch:
        texts = [row["question"] for row in rows], [row["context"] for row in rows]
        if not codec.tokenizer.is_fast:
            return Batch(codec.inputs(codec.tokens(*texts)))
        encoded = codec.tokens(*texts, return_offsets_mapping=True)
        inside = torch.tensor([[part == 1 for part in encoded.sequence_ids(at)] for at in range(len(rows))])
        places = [spans[mask] for spans, mask in zip(encoded["offset_mapping"], inside, strict=True)]
        return Batch(codec.inputs(encoded), {"inside": inside}, places)

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        weights = batch.weights.bool()
        width = weights.shape[1]
        logits = torch.stack([answer.start_logits[:, -width:], answer.end_logits[:, -width:]], -1)
        counts = batch.facts.get("inside", weights)
        return [line[mask] for line, mask in zip(logits, counts, strict=True)]

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("answers" in row for row in outputs.rows):
            return []
        answers = [
            [row["context"] for row in outputs.rows],  # the best guess without a model: the whole context
            [_answer(outputs, at, outputs.adapter) for at in range(len(outputs.rows))],
            [_answer(outputs, at, outputs.base) for at in range(len(outputs.rows))],
        ]
        rows = len(outputs.rows)
        by_row = [[_best(measures.overlap, text, row) for text, row in zip(texts, outputs.rows, strict=True)]
                  for texts in answers]  # fmt: skip
        f1 = [measures.mean(scores) for scores in by_row]
        exact = [measures.mean([_best(_exactly, text, row) for text, row in zip(texts, outputs.rows, strict=True)])
                 for texts in answers]  # fmt: skip
        return [
            Metric(
                "f1",
                f1[0],
                f1[1],
                rows,
                head_alone=f1[2],
                guess=True,
                scores=by_row[1],
                alone_scores=by_row[2],
                guess_p=paired.compare(by_row[1], by_row[0]).lower,
                interval=measures.share_interval(f1[1], rows),
            ),
            Metric(
                "exact-match",
                exact[0],
                exact[1],
                rows,
                head_alone=exact[2],
                guess=True,
                interval=measures.share_interval(exact[1], rows),
            ),
        ]

    def degenerate(self, outputs: Outputs) -> str:
        """Report answers whose likeliest end lies before their likeliest start."""
        ends = [line.argmax(0).tolist() for line in outputs.adapter if len(line)]
        backwards = sum(start > end for start, end in ends)
        if 2 * backwards > len(ends):
            return (
                f"In {backwards} of {len(ends)} rows the likeliest end of the answer lies before its likeliest start."
            )
        return ""

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        base, adapter = (_answer(outputs, at, lines) for lines in (outputs.base, outputs.adapter))
        return f"{row['question']} | {row['context']}", next(iter(_answers(row)), ""), base, adapter

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        row = outputs.rows[at]
        if isinstance(row["expected"], str):
            return bool(_exactly(_answer(outputs, at, outputs.adapter), row["expected"]))
        return numbers_agree(row["expected"], outputs.adapter[at])


def _answers(row: Row) -> list[str]:
    """Return the answers of a row: one text, a list of texts, or SQuAD's {"text": [...], "answer_start": [...]}."""
    answers = row.get("answers")
    answers = answers.get("text") if isinstance(answers, dict) else answers
    answers = [answers] if isinstance(answers, str) else answers
    return [text for text in answers if is_text(text)] if isinstance(answers, list) else []


def _answer(outputs: Outputs, at: int, lines: Sequence[Line]) -> str:
    """Return the likeliest span of the context whose end does not lie before its start."""
    line, places = lines[at], outputs.facts[at]
    if places is None or not len(line):
        return ""
    scores = line[:, None, 0] + line[None, :, 1]
    allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(LONGEST - 1)
    start, end = divmod(int(scores.masked_fill(~allowed, float("-inf")).argmax()), len(line))
    return str(outputs.rows[at]["context"])[int(places[start, 0]) : int(places[end, 1])]


def _best(count: Any, text: str, row: Row) -> float:
    return max(float(count(text, answer)) for answer in _answers(row))


def _exactly(text: str, answer: str) -> bool:
    return measures.answer_words(text) == measures.answer_words(answer)


EVAL = QuestionAnswering()
