"""Sequence classification: accuracy and macro-F1, with one label the correlation. The frozen base can only guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workers.engine.evals import measures
from workers.engine.evals.desk import Batch, Desk, Row, is_count, is_real
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree

FLAT = 1e-3  # a probability that moves by less over all rows says nothing of them


class SequenceClassification(Eval):
    task = "SEQ_CLS"
    shifts_itself = True

    def is_row(self, row: Row) -> bool:
        pair, label = row.get("text_pair"), row.get("label")
        labelled = isinstance(label, str) or is_real(label)
        return isinstance(row.get("text"), str) and labelled and isinstance(pair, str | None)

    def problem(self, rows: Sequence[Row], desk: Desk) -> str:
        whole = all(isinstance(row["label"], str) or is_count(row["label"]) for row in rows)
        if desk.count == 1:
            return "" if all(is_real(row["label"]) for row in rows) else "the head has one output: labels are numbers"
        if not whole:
            return f"a label is a fraction, but the head has {desk.count} labels"
        beyond = next((row["label"] for row in rows if desk.number(row["label"]) not in range(desk.count)), None)
        return "" if beyond is None else f"a row has the label {str(beyond)[:60]!r}, but the head knows {desk.count}"

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        return list(answer.logits)

    def measure(self, seen: Seen) -> list[Metric]:
        if not any("label" in row for row in seen.rows):
            return []
        if seen.desk.count == 1:
            return _correlations(seen)
        wanted = [seen.desk.number(row["label"]) for row in seen.rows]
        guess = [measures.commonest(wanted)] * len(wanted)
        found, alone = _picked(seen.adapter), _picked(seen.base)
        rows = len(wanted)
        return [
            Metric("accuracy", measures.accuracy(guess, wanted), measures.accuracy(found, wanted), rows,
                   head_alone=measures.accuracy(alone, wanted)),
            Metric("macro-f1", measures.macro_f1(guess, wanted), measures.macro_f1(found, wanted), rows,
                   head_alone=measures.macro_f1(alone, wanted), rough=True),
        ]  # fmt: skip

    def degenerate(self, seen: Seen) -> str:
        if len(seen.rows) < 3 or not any("label" in row for row in seen.rows):
            return ""  # of sentences that are not for it, it may well say one thing
        shares = torch.stack(list(seen.adapter)).float()
        shares = shares.softmax(-1) if seen.desk.count > 1 else shares
        if shares.std(0).max() < FLAT:
            return (
                f"It says nearly the same of all {len(seen.rows)} rows: the probabilities differ by less than {FLAT}."
            )
        wanted = (
            {seen.desk.number(row["label"]) for row in seen.rows if "label" in row} if seen.desk.count > 1 else set()
        )
        never = sorted(wanted - set(_picked(seen.adapter)) - {-1})
        if len(wanted) > 1 and never:
            names = ", ".join(seen.desk.name(number) for number in never[:5])
            return f"It never answers {names}, which {len(never)} of {len(wanted)} labels in the rows are."
        return ""

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        row = seen.rows[at]
        text = row["text"] if not row.get("text_pair") else f"{row['text']} | {row['text_pair']}"
        wanted: Any = row.get("label")
        named = seen.desk.name(wanted) if is_count(wanted) and seen.desk.count > 1 and seen.desk.labels else wanted
        return text, "" if named is None else str(named), _said(seen, seen.base[at]), _said(seen, seen.adapter[at])

    def agrees(self, seen: Seen, at: int) -> bool | None:
        wanted = seen.rows[at]["expected"]
        if isinstance(wanted, str) or is_count(wanted):
            return seen.desk.number(wanted) == int(seen.adapter[at].argmax())
        return numbers_agree(wanted, seen.adapter[at])


def _picked(lines: Sequence[Line]) -> list[int]:
    return [int(line.argmax()) for line in lines]


def _said(seen: Seen, line: Line) -> str:
    if seen.desk.count == 1:
        return f"{line.item():.3f}"
    share, number = line.float().softmax(-1).max(-1)
    return f"{seen.desk.name(int(number))} {share.item():.2f}"


def _correlations(seen: Seen) -> list[Metric]:
    """A constant correlates with nothing, so a guess without a model gets 0."""
    wanted = torch.tensor([float(row["label"]) for row in seen.rows])
    if len(wanted) < 3:
        return []
    adapter, base = (torch.stack(list(lines)).flatten().float() for lines in (seen.adapter, seen.base))
    return [
        Metric(name, 0.0, count(adapter, wanted), len(wanted), head_alone=count(base, wanted), rough=rough)
        for name, count, rough in (("pearson", measures.pearson, False), ("spearman", measures.spearman, True))
    ]


EVAL = SequenceClassification()
