"""Prepares the rows that an adapter is run on: the author's smoke.jsonl, or the built-in neutral rows.

The tokens that an adapter trains are put into rows, since sentences of ours seldom have them.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from dovetail.adapters.readers.folder import Folder
from workers.engine.evals import task
from workers.engine.evals.codec import PICTURES, Batch, Codec, Labels, Row, any_ids, pictures, sensed
from workers.engine.evals.task import Eval
from workers.engine.models.frozen import Frozen

NAME = "smoke.jsonl"
NAMELESS = re.compile(r"LABEL_\d+")  # a config's name for a label that nobody named
MAX_ROWS = 256
MAX_BYTES = 256 * 2**10
BATCH = 8  # the split influences the result through the order of additions
PROBE = 4  # rows of the first batch, which is small because it is run again, also merged


class RowsError(ValueError):
    """smoke.jsonl cannot be used; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows prepared for a model, in batches whose split never changes; a batch holds rows of similar length."""

    name: str
    rows: Sequence[Row]
    batches: Sequence[Batch]
    order: Sequence[int]  # the number of the row that each line of the answers belongs to
    eval: Eval
    codec: Codec
    doubt: str = ""  # why a number measured on them means little
    unused: str = ""  # a sentence about rows and label names that are left out

    @property
    def guessed(self) -> bool:
        """True if the numbers of their label names are our guess: then they measure nothing."""
        return self.codec.guessed

    @property
    def source(self) -> Literal["smoke", "neutral"]:
        return "neutral" if self.name == task.BUILTIN else "smoke"

    def answers(self, model: Any, most: int | None = None) -> Iterator[list[torch.Tensor]]:
        """Yield the model's outputs batch by batch, a tensor for each row, of all or of the first `most` batches."""
        weights = next(model.parameters())
        for batch in self.batches[:most]:
            moved = batch.on(weights.device, weights.dtype)
            yield [line.float().cpu() for line in self.eval.read(self.eval.ask(model, moved), moved)]

    @property
    def facts(self) -> list[Any]:
        """Return the facts of each row from the batches, in the rows' order."""
        facts = [batch.of_rows or [None] * batch.rows for batch in self.batches]
        return self.in_order([fact for batch in facts for fact in batch])

    def answer_alone(self, model: Any, at: int) -> torch.Tensor:
        """Return the model's output for one row by itself, without the padding that a batch gives it."""
        batch = _asked(self.eval.batch(self.codec, [self.rows[at]]), self.eval)
        with torch.inference_mode():
            [[line]] = replace(self, batches=[batch]).answers(model)
        return line

    def in_order(self, lines: Sequence[Any]) -> list[Any]:
        """Return the batches' lines in the order of the rows."""
        line_of_row = dict(zip(self.order, lines, strict=True))
        return [line_of_row[at] for at in range(len(lines))]


def digest(rows: Sequence[Row]) -> str:
    """Return the sha256 that names these rows in this order."""
    return hashlib.sha256(json.dumps(list(rows), sort_keys=True).encode()).hexdigest()


def neutral(frozen: Frozen, evaluation: Eval, codec: Codec | None = None) -> Rows:
    codec = codec or Codec.of(frozen)
    if codec.picture is not None:
        return Rows(task.BUILTIN, (), pictures(codec), range(PICTURES), evaluation, codec)
    if codec.senses:
        return Rows(task.BUILTIN, (), sensed(codec), range(PICTURES), evaluation, codec)
    if codec.tokenizer is None:
        batch = _asked(any_ids(codec, len(task.SENTENCES)), evaluation)
        return Rows(task.BUILTIN, (), [batch], range(len(task.SENTENCES)), evaluation, codec)
    return _ready(task.BUILTIN, evaluation.builtin, evaluation, codec)


def smoke(folder: Folder, frozen: Frozen, evaluation: Eval, labels: int = 2, lent_by: str = "") -> Rows | None:
    """Return the author's rows, or None if there are none or the base has no tokenizer. Raises `RowsError`."""
    if NAME not in folder.files:
        return None
    with folder.files[NAME]() as file:
        raw = file.read(MAX_BYTES + 1)
    return written(raw, folder.card or {}, frozen, evaluation, labels, lent_by)


def written(
    raw: bytes, card: Mapping[str, Any], frozen: Frozen, evaluation: Eval, labels: int = 2, lent_by: str = ""
) -> Rows | None:
    """Return the rows of the bytes of a smoke.jsonl; None if the base has no tokenizer. Raises `RowsError`."""
    if frozen.picture is not None:
        raise RowsError("its rows are text, but the base reads images")
    if frozen.senses:
        raise RowsError("its rows are text, but the base reads sound, or images and text")
    if frozen.tokenizer is None:
        return None
    rows = _parse(raw)
    if not all(evaluation.is_row(row) for row in rows):
        raise RowsError(f"a row does not have the form of rows for {evaluation.task}")
    codec = Codec.of(frozen, _labels(rows, card, frozen), labels)
    problems = [evaluation.problem([row], codec) for row in rows]
    known = [row for row, problem in zip(rows, problems, strict=True) if not problem]
    problem = next(filter(None, problems), "")
    if problem and codec.guessed:
        raise RowsError(f"it has {len(codec.labels)} label names, but the head has {labels}")
    if not known:
        raise RowsError(problem)
    ready = _ready(lent_by or "smoke", known[: evaluation.most], evaluation, codec)
    if problem:
        left = len(rows) - len(known)
        ready = replace(ready, unused=f"{left} of {len(rows)} rows of smoke.jsonl are skipped: {problem}.")
    if any(not masks.sum(1).all() for batch in ready.batches for masks in _masks(batch)):
        raise RowsError("a row has no token of the base's tokenizer")
    return ready


def _masks(batch: Batch) -> list[torch.Tensor]:
    return [batch.inputs["attention_mask"], *([batch.facts["mask"]] if "mask" in batch.facts else [])]


def codec_of(folder: Folder, frozen: Frozen, labels: int) -> Codec:
    """Return the codec for rows without labels; label names are the card's or the base's if their number fits."""
    found = _labels((), folder.card or {}, frozen)
    return Codec.of(frozen, found if len(found[0]) == labels else ({}, None), labels)


def _ready(name: str, rows: Sequence[Row], evaluation: Eval, codec: Codec) -> Rows:
    order = sorted(range(len(rows)), key=lambda at: (evaluation.size(rows[at]), at))
    split = [order[:PROBE], *(order[at : at + BATCH] for at in range(PROBE, len(order), BATCH))]
    batches = [_asked(evaluation.batch(codec, [rows[at] for at in part]), evaluation) for part in split]
    return Rows(name, rows, batches, order, evaluation, codec)


def _asked(batch: Batch, evaluation: Eval) -> Batch:
    if evaluation.shifts_itself:
        batch.inputs.pop("decoder_input_ids", None)
    return batch


def _parse(raw: bytes) -> list[Row]:
    lines = [line for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
    if len(raw) > MAX_BYTES or not 1 <= len(lines) <= MAX_ROWS:
        raise RowsError(f"it needs 1 to {MAX_ROWS} rows in at most {MAX_BYTES // 1024} kB")
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line, parse_constant=_no_constant)
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is text for JSON alone
        except (ValueError, RecursionError) as problem:
            raise RowsError(f"line {number} is not JSON") from problem
        if not isinstance(row, dict):
            raise RowsError(f"line {number} is not a JSON object")
        rows.append(row)
    return rows


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _labels(rows: Sequence[Row], card: Mapping[str, Any], frozen: Frozen) -> Labels:
    """Return the numbers of label names, and where they come from.

    They come from the card's `label_names` or the base's config, whichever knows the labels of most rows; otherwise
    names are numbered alphabetically, a guess. Rows whose labels are numbers need none.
    """
    used = [{label for label in _labels_in(row) if isinstance(label, str)} for row in rows]
    names = card.get("label_names")
    if isinstance(names, list) and names and _most(used, set(map(str, names))):
        return {str(name): number for number, name in enumerate(names)}, "card"
    if _most(used, frozen.config.label2id.keys()):
        numbers = dict(frozen.config.label2id)
        return numbers, None if all(NAMELESS.fullmatch(name) for name in numbers) else "base"
    return {name: number for number, name in enumerate(sorted(set().union(*used)))}, "alphabet"


def _most(used: Sequence[set[str]], names: Set[str]) -> bool:
    """Return whether names hold the labels of more than half of the rows."""
    return 2 * sum(labels <= names for labels in used) > len(used) or not used


def _labels_in(row: Row) -> Sequence[Any]:
    labels = row.get("labels")
    return labels if isinstance(labels, list) else [row.get("label")]


MOST_TOKENS = 64  # tokens that are put in: each adapter that trains more is felt by these


def with_tokens(rows: Rows, ids: Sequence[int]) -> Rows | None:
    """Return the rows with every other token replaced by a trained one; None for a base that reads no tokens."""
    if not all("input_ids" in batch.inputs for batch in rows.batches):
        return None
    return replace(rows, batches=[_replaced(batch, ids[:MOST_TOKENS]) for batch in rows.batches])


def _replaced(batch: Batch, ids: Sequence[int]) -> Batch:
    """Leave the first token, which may open a text, and padding."""
    tokens = batch.inputs["input_ids"].clone()
    mask = batch.inputs.get("attention_mask", torch.ones_like(tokens)).bool()
    places = mask & (torch.arange(tokens.shape[1]) % 2 == 1)
    count = int(places.sum())
    tokens[places] = torch.tensor(ids).repeat(count // len(ids) + 1)[:count]
    return replace(batch, inputs={**batch.inputs, "input_ids": tokens})
