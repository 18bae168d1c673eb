"""Sequence classification: accuracy and macro-F1, with one label the correlation. The frozen base can only guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.codec import Batch, Codec, Row, is_count, is_real
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Outputs, numbers_agree

FLAT = 1e-3  # the smallest deviation of a probability over all rows that is not suspicious


class SequenceClassification(Eval):
    task = "SEQ_CLS"
    shifts_itself = True

    def is_row(self, row: Row) -> bool:
        pair, label = row.get("text_pair"), row.get("label")
        labelled = isinstance(label, str) or is_real(label)
        return isinstance(row.get("text"), str) and labelled and isinstance(pair, str | None)

    def problem(self, rows: Sequence[Row], codec: Codec) -> str:
        whole = all(isinstance(row["label"], str) or is_count(row["label"]) for row in rows)
        if codec.count == 1:
            return "" if all(is_real(row["label"]) for row in rows) else "the head has one output: labels are numbers"
        if not whole:
            return f"a label is a fraction, but the head has {codec.count} labels"
        beyond = next((row["label"] for row in rows if codec.number(row["label"]) not in range(codec.count)), None)
        return "" if beyond is None else f"a row has the label {str(beyond)[:60]!r}, but the head knows {codec.count}"

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        return list(answer.logits)

    def measure(self, outputs: Outputs) -> list[Metric]:
        if not any("label" in row for row in outputs.rows):
            return []
        if outputs.codec.count == 1:
            return _correlations(outputs)
        expected = [outputs.codec.number(row["label"]) for row in outputs.rows]
        guess = [measures.commonest(expected)] * len(expected)
        predicted, head_alone = _picked(outputs.adapter), _picked(outputs.base)
        rows = len(expected)
        return [
            Metric("accuracy", measures.accuracy(guess, expected), measures.accuracy(predicted, expected), rows,
                   head_alone=measures.accuracy(head_alone, expected)),
            Metric("macro-f1", measures.macro_f1(guess, expected), measures.macro_f1(predicted, expected), rows,
                   head_alone=measures.macro_f1(head_alone, expected), rough=True),
        ]  # fmt: skip

    def degenerate(self, outputs: Outputs) -> str:
        if len(outputs.rows) < 3 or not any("label" in row for row in outputs.rows):
            return ""  # it may well give one answer to rows that are not made for it
        shares = torch.stack(list(outputs.adapter)).float()
        shares = shares.softmax(-1) if outputs.codec.count > 1 else shares
        if shares.std(0).max() < FLAT:
            rows = len(outputs.rows)
            return f"It says nearly the same of all {rows} rows: the probabilities differ by less than {FLAT}."
        if outputs.codec.count == 1:
            return ""
        expected = {outputs.codec.number(row["label"]) for row in outputs.rows if "label" in row}
        never = sorted(expected - set(_picked(outputs.adapter)) - {-1})
        if len(expected) > 1 and never:
            names = ", ".join(outputs.codec.name(number) for number in never[:5])
            return f"It never answers {names}, which {len(never)} of {len(expected)} labels in the rows are."
        return ""

    def sample(self, outputs: Outputs, at: int) -> tuple[str, str, str, str]:
        row = outputs.rows[at]
        text = row["text"] if not row.get("text_pair") else f"{row['text']} | {row['text_pair']}"
        label: Any = row.get("label")
        has_name = is_count(label) and outputs.codec.count > 1 and outputs.codec.labels
        label_text = outputs.codec.name(label) if has_name else label
        return (
            text,
            "" if label_text is None else str(label_text),
            _answer_text(outputs, outputs.base[at]),
            _answer_text(outputs, outputs.adapter[at]),
        )

    def agrees(self, outputs: Outputs, at: int) -> bool | None:
        expected = outputs.rows[at]["expected"]
        if isinstance(expected, str) or is_count(expected):
            return outputs.codec.number(expected) == int(outputs.adapter[at].argmax())
        return numbers_agree(expected, outputs.adapter[at])


def _picked(lines: Sequence[Line]) -> list[int]:
    return [int(line.argmax()) for line in lines]


def _answer_text(outputs: Outputs, line: Line) -> str:
    if outputs.codec.count == 1:
        return f"{line.item():.3f}"
    share, number = line.float().softmax(-1).max(-1)
    return f"{outputs.codec.name(int(number))} {share.item():.2f}"


def _correlations(outputs: Outputs) -> list[Metric]:
    """Return both correlations; a guess without a model gets 0."""
    expected = torch.tensor([float(row["label"]) for row in outputs.rows])
    if len(expected) < 3:
        return []
    adapter, base = (torch.stack(list(lines)).flatten().float() for lines in (outputs.adapter, outputs.base))
    return [
        Metric(name, 0.0, count(adapter, expected), len(expected), head_alone=count(base, expected), rough=rough)
        for name, count, rough in (("pearson", measures.pearson, False), ("spearman", measures.spearman, True))
    ]


EVAL = SequenceClassification()
