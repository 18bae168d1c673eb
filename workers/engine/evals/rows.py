"""The rows an adapter is run on: the author's smoke.jsonl when it fits the task, else a neutral set of our own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from dovetail.adapters.folder import Folder
from workers.engine.frozen import Frozen

NAME = "smoke.jsonl"
MAX_ROWS = 256
FEWEST = 8
MAX_BYTES = 256 * 2**10
MAX_TOKENS = 128
BATCH = 8  # the split is part of the result: the order of additions hangs on it
# Written for this project and free of any right (CC0): plain statements without a topic, an opinion or a label.
NEUTRAL = (
    "The train leaves the station at seven in the morning.",
    "Water boils at a lower temperature on a mountain.",
    "She put the keys next to the lamp and closed the door.",
    "A list of names was printed on the second page.",
    "How long does it take to walk from the harbour to the market?",
    "The function returns the sum of both numbers.",
    "They painted the fence green before the rain came.",
    "In autumn the days grow shorter and the nights longer.",
)

Row = Mapping[str, Any]
Batch = dict[str, torch.Tensor]


class RowsError(ValueError):
    """smoke.jsonl cannot be used; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number for the base and one for the adapter, over `rows` rows.

    A base without a trained head can only guess: then `base` is what always saying the commonest label gets, and
    `head_alone` what the adapter's own head gets on the frozen base with the adapter switched off.
    """

    name: str
    base: float
    adapter: float
    rows: int
    higher_is_better: bool = True
    head_alone: float | None = None

    @property
    def is_worse(self) -> bool:
        return self.adapter < self.base if self.higher_is_better else self.adapter > self.base


@dataclass(frozen=True, slots=True)
class Eval:
    """How one task is measured: `texts` of a row, `read` one line a text from a model's answer, `measure` both."""

    task: str
    is_row: Callable[[Row], bool]
    texts: Callable[[Row], Sequence[tuple[str, str | None]]]
    read: Callable[[Any, Batch], torch.Tensor]
    measure: Callable[[Sequence[Row], torch.Tensor, torch.Tensor, Mapping[str, int]], Metric | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows made ready for a model: ids and masks, in batches whose split never changes."""

    name: str
    rows: Sequence[Row]
    batches: Sequence[Batch]
    eval: Eval
    labels: Mapping[str, int] = field(default_factory=dict)
    guessed: bool = False  # whether the numbers of the label names are our guess

    @property
    def source(self) -> Literal["smoke", "neutral"]:
        return "smoke" if self.rows else "neutral"

    def answers(self, model: Any, most: int | None = None) -> Iterator[torch.Tensor]:
        """What the model says, batch by batch, of all rows or of the first `most` batches."""
        for batch in self.batches[:most]:
            yield self.eval.read(model(**batch), batch)


def neutral(frozen: Frozen, evaluation: Eval) -> Rows:
    return Rows("neutral", (), _batches(frozen, [(text, None) for text in NEUTRAL]), evaluation)


def smoke(folder: Folder, frozen: Frozen, evaluation: Eval) -> Rows | None:
    """The author's rows; None when there are none or they are not for this task. Raises `RowsError`."""
    if NAME not in folder.files or frozen.tokenizer is None:
        return None
    found = _parse(folder)
    if not all(evaluation.is_row(row) for row in found):
        raise RowsError(f"a row does not look as rows of {evaluation.task} do")
    texts = [pair for row in found for pair in evaluation.texts(row)]
    labels, guessed = _labels(found, folder.card or {}, frozen)
    return Rows("smoke", found, _batches(frozen, texts), evaluation, labels, guessed)


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


def is_count(value: object) -> bool:
    """Whether a value is a whole number that any tensor can hold."""
    return type(value) is int and abs(value) < 2**31


def is_real(value: object) -> bool:
    return is_count(value) or (type(value) is float and math.isfinite(value))


def _labels(rows: Sequence[Row], card: Mapping[str, Any], frozen: Frozen) -> tuple[dict[str, int], bool]:
    """The numbers of label names: by the card's `label_names`, by the base's config, else by the alphabet: a guess."""
    used = {row["label"] for row in rows if isinstance(row.get("label"), str)}
    told = card.get("label_names")
    if isinstance(told, list) and used <= set(map(str, told)):
        return {str(name): number for number, name in enumerate(told)}, False
    if used <= frozen.config.label2id.keys():
        return dict(frozen.config.label2id), False
    return {name: number for number, name in enumerate(sorted(used))}, bool(used)


def _batches(frozen: Frozen, texts: Sequence[tuple[str, str | None]]) -> list[Batch]:
    if frozen.tokenizer is None:
        return [_with_decoder(frozen, _any_ids(frozen))]
    split = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
    limit = min(MAX_TOKENS, getattr(frozen.config.get_text_config(), "max_position_embeddings", MAX_TOKENS) // 2)
    return [_with_decoder(frozen, dict(_tokenise(frozen.tokenizer, batch, limit))) for batch in split]


def _with_decoder(frozen: Frozen, batch: Batch) -> Batch:
    """An encoder-decoder is asked to go on from the first tokens of its own input."""
    if frozen.config.is_encoder_decoder:
        batch["decoder_input_ids"] = batch["input_ids"][:, :8]
    return batch


def _tokenise(tokenizer: Any, batch: Sequence[tuple[str, str | None]], limit: int) -> Any:
    pairs = [text for text, _ in batch], [pair or "" for _, pair in batch]
    with_pair = any(pair for _, pair in batch)
    said = tokenizer(
        *pairs[: 2 if with_pair else 1], padding=True, truncation=True, max_length=limit, return_tensors="pt"
    )
    return {key: said[key] for key in ("input_ids", "attention_mask", "token_type_ids") if key in said}


def _any_ids(frozen: Frozen) -> Batch:
    """For a base without a tokenizer: the same ids at every start."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, frozen.config.get_text_config().vocab_size, (len(NEUTRAL), 12), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
