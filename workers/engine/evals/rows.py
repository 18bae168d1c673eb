"""The rows an adapter is run on: the author's smoke.jsonl when it fits the task, else a neutral set of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dovetail.adapters.folder import Folder
from workers.engine.evals import builtin
from workers.engine.evals.desk import PICTURES, Batch, Desk, Row, any_ids, pictures
from workers.engine.evals.task import Eval
from workers.engine.frozen import Frozen

NAME = "smoke.jsonl"
MAX_ROWS = 256
FEWEST = 8
MAX_BYTES = 256 * 2**10
BATCH = 8  # the split is part of the result: the order of additions hangs on it
PROBE = 4  # the first batch is run again, and merged: it is small


class RowsError(ValueError):
    """smoke.jsonl cannot be used; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows made ready for a model, in batches whose split never changes; rows of like length are in one batch."""

    name: str
    rows: Sequence[Row]
    batches: Sequence[Batch]
    order: Sequence[int]  # which row each line of the answers belongs to
    eval: Eval
    desk: Desk
    guessed: bool = False  # whether the numbers of the label names are our guess

    @property
    def source(self) -> Literal["smoke", "neutral"]:
        return "neutral" if self.name == builtin.NAME else "smoke"

    def answers(self, model: Any, most: int | None = None) -> Iterator[list[torch.Tensor]]:
        """Yield the model's outputs batch by batch, a tensor for each row, of all or of the first `most` batches."""
        weights = next(model.parameters())
        for batch in self.batches[:most]:
            there = batch.on(weights.device, weights.dtype)
            yield [line.float().cpu() for line in self.eval.read(self.eval.ask(model, there), there)]

    @property
    def facts(self) -> list[Any]:
        """Return the facts of each row from the batches, in the rows' order."""
        known = [batch.of_rows or [None] * batch.rows for batch in self.batches]
        return self.in_order([fact for batch in known for fact in batch])

    def in_order(self, lines: Sequence[Any]) -> list[Any]:
        """Lines as the batches gave them, sorted as the rows are."""
        placed = dict(zip(self.order, lines, strict=True))
        return [placed[at] for at in range(len(lines))]


def neutral(frozen: Frozen, evaluation: Eval, desk: Desk | None = None) -> Rows:
    desk = desk or Desk.of(frozen)
    if desk.picture is not None:
        return Rows(builtin.NAME, (), pictures(desk), range(PICTURES), evaluation, desk)
    if desk.tokenizer is None:
        batch = _asked(any_ids(desk, len(builtin.SENTENCES)), evaluation)
        return Rows(builtin.NAME, (), [batch], range(len(builtin.SENTENCES)), evaluation, desk)
    return _ready(builtin.NAME, evaluation.builtin, evaluation, desk)


def smoke(folder: Folder, frozen: Frozen, evaluation: Eval, labels: int = 2, lent_by: str = "") -> Rows | None:
    """The author's rows; None when there are none or they are not for this task. Raises `RowsError`."""
    if NAME in folder.files and frozen.picture is not None:
        raise RowsError("its rows are text, and the base looks at pictures")
    if NAME not in folder.files or frozen.tokenizer is None:
        return None
    found = _parse(folder)
    if not all(evaluation.is_row(row) for row in found):
        raise RowsError(f"a row does not look as rows of {evaluation.task} do")
    numbers, guessed = _labels(found, folder.card or {}, frozen)
    desk = Desk.of(frozen, numbers, labels)
    if problem := evaluation.problem(found, desk):
        raise RowsError(problem)
    ready = _ready(lent_by or "smoke", found[: evaluation.most], evaluation, desk, guessed)
    if any(not masks.sum(1).all() for batch in ready.batches for masks in _masks(batch)):
        raise RowsError("a row has nothing in it that the base's tokenizer knows")
    return ready


def _masks(batch: Batch) -> list[torch.Tensor]:
    return [batch.inputs["attention_mask"], *([batch.facts["mask"]] if "mask" in batch.facts else [])]


def desk_of(folder: Folder, frozen: Frozen, labels: int) -> Desk:
    """For rows without labels: names are the card's or the base's, when they are as many as the head has."""
    numbers, _ = _labels((), folder.card or {}, frozen)
    return Desk.of(frozen, numbers if len(numbers) == labels else {}, labels)


def _ready(name: str, rows: Sequence[Row], evaluation: Eval, desk: Desk, guessed: bool = False) -> Rows:
    order = sorted(range(len(rows)), key=lambda at: (evaluation.size(rows[at]), at))
    split = [order[:PROBE], *(order[at : at + BATCH] for at in range(PROBE, len(order), BATCH))]
    batches = [_asked(evaluation.batch(desk, [rows[at] for at in part]), evaluation) for part in split]
    return Rows(name, rows, batches, order, evaluation, desk, guessed)


def _asked(batch: Batch, evaluation: Eval) -> Batch:
    if evaluation.shifts_itself:
        batch.inputs.pop("decoder_input_ids", None)
    return batch


def doubts(rows: Sequence[Row]) -> str:
    """Why a number measured on these rows means little, or nothing."""
    labels = {str(row["label"]) for row in rows if "label" in row}
    if len(rows) < FEWEST:
        return f"smoke.jsonl has only {len(rows)} rows: with fewer than {FEWEST}, a measured number means little."
    if len(labels) == 1:
        return f"All {len(rows)} rows of smoke.jsonl have the label {labels.pop()[:60]!r}: the number means little."
    return ""


def _parse(folder: Folder) -> list[Row]:
    with folder.files[NAME]() as file:
        raw = file.read(MAX_BYTES + 1)
    lines = [line for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
    if len(raw) > MAX_BYTES or not 1 <= len(lines) <= MAX_ROWS:
        raise RowsError(f"it needs 1 to {MAX_ROWS} rows in at most {MAX_BYTES // 1024} kB")
    found: list[Row] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line, parse_constant=_no_constant)
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is text for JSON alone
        except (ValueError, RecursionError) as problem:
            raise RowsError(f"line {number} is not JSON") from problem
        if not isinstance(row, dict):
            raise RowsError(f"line {number} is not a JSON object")
        found.append(row)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _labels(rows: Sequence[Row], card: Mapping[str, Any], frozen: Frozen) -> tuple[dict[str, int], bool]:
    """The numbers of label names: by the card's `label_names`, by the base's config, else by the alphabet: a guess."""
    used = {label for row in rows for label in _labels_in(row) if isinstance(label, str)}
    told = card.get("label_names")
    if isinstance(told, list) and used <= set(map(str, told)):
        return {str(name): number for number, name in enumerate(told)}, False
    if used <= frozen.config.label2id.keys():
        return dict(frozen.config.label2id), False
    return {name: number for number, name in enumerate(sorted(used))}, bool(used)


def _labels_in(row: Row) -> Sequence[Any]:
    several = row.get("labels")
    return several if isinstance(several, list) else [row.get("label")]
