"""Chooses the task by which an adapter is measured, and its rows: the author's if they fit, else the built-in ones.

The number measured on an author's rows means little where they are too few, repeated, of one label, or trained on. The
base's outputs for our own rows are kept in the warm parent, so that children need not compute them again: they come
from our rows and a model without an adapter, and no uploaded byte influences them.
"""

from __future__ import annotations

import csv
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dovetail.adapters.files.header import Opener
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.library import Library
from dovetail.adapters.results.report import CheckResult
from workers.engine.evals import classification, feature_extraction, language_modeling, words
from workers.engine.evals.codec import CannotWrite, Row, write
from workers.engine.evals.rows import NAME, Rows, RowsError, codec_of, neutral, smoke
from workers.engine.evals.task import Eval, Line, Outputs
from workers.engine.models import library
from workers.engine.models.frozen import WITH_LABELS, Frozen

FEWEST = 8
REPEATED = 0.1  # of the rows
TEXTS = ("text", "text_pair", "question", "context", "anchor", "positive", "tokens", "target")
DATA = (".jsonl", ".csv", ".tsv", ".txt", ".json")  # in this order: a tokenizer's .json would take all of MAX_BYTES
PACKED = ".gz"
RAGGED = (".jsonl", ".txt")  # a row a line
MAX_BYTES = 4 * 2**20  # of all files together: reading them takes a part of a second
SHORTEST = 12  # characters of a text that says something by standing in two files
EVALS: tuple[Eval, ...] = (
    classification.SEQUENCE,
    feature_extraction.EVAL,
    language_modeling.CAUSAL,
    words.TOKEN_CLASSIFICATION,
    words.QUESTION_ANSWERING,
    language_modeling.SEQUENCE_TO_SEQUENCE,
    language_modeling.MASKED,
    classification.IMAGE,
    classification.CTC,
)


def eval_of(task: str) -> Eval:
    return next(evaluation for evaluation in EVALS if evaluation.task == task)


def too_few(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that are too few for a number to mean much, or ""."""
    if len(rows) >= FEWEST:
        return ""
    return f"smoke.jsonl has only {len(rows)} rows: with fewer than {FEWEST}, a measured number means little."


def of_one_label(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that all have one label, or "": always saying it is right every time."""
    labels = {str(row["label"]) for row in rows if "label" in row}
    if len(labels) != 1:
        return ""
    return f"All {len(rows)} rows of smoke.jsonl have the label {labels.pop()[:60]!r}: the number means little."


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those that repeat others."""
    return list({json.dumps(row, sort_keys=True): row for row in rows}.values())


def repeats(rows: Sequence[Row]) -> str:
    """Return a sentence about rows that repeat others, "" if they are few: they make a number look surer than it is."""
    count = Counter(json.dumps(row, sort_keys=True) for row in rows)
    repeated = len(rows) - len(count)
    if repeated <= REPEATED * len(rows):
        return ""
    most = max(count.values())
    again = f"{repeated} of {len(rows)} rows of smoke.jsonl are duplicates"
    return f"{again}, one of them {most} times: duplicates measure nothing new."


def trained_on(rows: Sequence[Row], files: Mapping[str, Opener], own: str) -> tuple[int, str]:
    """Return how many rows stand in another data file beside them too, and the file that has most; (0, "") for none."""
    texts = [text for row in rows if len(text := _main_text(row)) >= SHORTEST]
    room, hits = MAX_BYTES, {}
    data = [path for end in DATA for path in sorted(files) if _name(path).endswith(end) and path != own]
    for path in data if texts else ():
        with files[path]() as file:
            raw = file.read(room)
        if path.lower().endswith(PACKED):
            raw = _unpacked(raw, room)
        room -= len(raw)
        beside = set(map(_plain, _texts_in(_name(path), raw.decode("utf-8", "replace"))))
        hits[path] = sum(text in beside for text in texts)
    worst = max(hits, key=lambda path: hits[path], default="")
    return (hits[worst], worst) if worst and hits[worst] else (0, "")


def _name(path: str) -> str:
    """Return the path in lower case, of a packed file that of its content."""
    return path.lower().removesuffix(PACKED)


def _unpacked(raw: bytes, most: int) -> bytes:
    """Return the beginning of a gzip file's content, up to `most` bytes; nothing of a file that is none."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, max(1, most))
    except zlib.error:
        return b""


def _main_text(row: Row) -> str:
    """Return the longest of a row's texts, as it is compared."""
    texts = [row[key] for key in TEXTS if row.get(key)]
    joined = [" ".join(map(str, text)) if isinstance(text, list) else str(text) for text in texts]
    return _plain(max(joined, key=len, default=""))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts_in(path: str, content: str) -> Iterator[str]:
    """Yield every text of a data file, and of a plain one each line and its cells; what is malformed is left out."""
    if path.endswith(RAGGED):
        for line in content.splitlines():
            yield from _strings(_parsed(line)) if path.endswith(".jsonl") else (line, *line.split("\t"))
    elif path.endswith(".json"):
        yield from _strings(_parsed(content))
    else:
        try:
            for cells in csv.reader(content.splitlines(), delimiter="\t" if path.endswith(".tsv") else ","):
                yield from cells
        except csv.Error:
            return


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any, depth: int = 6) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield " ".join(value)
        yield from value
    elif depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item, depth - 1)


OWN_HEADS = ("FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM", language_modeling.MASKED.task)

_known: dict[tuple[str, str, str], BaseOutputs] = {}


@dataclass(frozen=True, slots=True)
class BaseOutputs:
    """Our rows with a base's outputs, in the order of the batches, and its generated texts by the row's number."""

    rows: Rows
    lines: list[Line]
    first_s: float
    written: Mapping[int, str]


def learn(frozen: Frozen, task: str) -> None:
    """Run the base on our rows for a task, once."""
    for evaluation in _evaluations(frozen, task):
        if (frozen.sha256, task, evaluation.task) not in _known:
            _known[frozen.sha256, task, evaluation.task] = _ask(frozen, task, evaluation)


def recall(frozen: Frozen, task: str, evaluation: Eval) -> BaseOutputs | None:
    """Return the outputs of a task's model for the rows of an evaluation; None if it was not run."""
    return _known.get((frozen.sha256, task, evaluation.task))


def _evaluations(frozen: Frozen, task: str) -> list[Eval]:
    if task != library.TASK:
        return [eval_of(task)] if task in OWN_HEADS else []
    model = frozen.model(task)
    fills = [language_modeling.MASKED] if language_modeling.can_fill(model, frozen.tokenizer) else []
    return [*fills, eval_of("FEATURE_EXTRACTION")]


def _ask(frozen: Frozen, task: str, evaluation: Eval) -> BaseOutputs:
    model: Any = frozen.model(task)
    if task == library.TASK:
        model.active_head = None
    rows = neutral(frozen, evaluation)
    lines: list[Line] = []
    marks = [time.perf_counter()]
    with torch.inference_mode():
        for answer in rows.answers(model):
            lines += answer
            marks.append(time.perf_counter())
    outputs = Outputs(rows.rows, rows.codec, (), (), ())
    prompts = evaluation.prompts(outputs) if rows.rows else {}
    try:
        written = write(model, rows.codec, prompts) if prompts else {}
    except CannotWrite:  # it cannot with an adapter either, and the trial reports that
        written = {}
    return BaseOutputs(rows, lines, marks[1] - marks[0], written)


LANGUAGE = "language"
ROWS_FIX = (
    'Write one JSON object per line, such as {"text": "…", "label": 0} for classification; the page '
    "docs/checks describes the form for each task."
)
NAMES_FIX = "Name each output of the head once in label_names, in the order of the outputs."
MORE_ROWS = "Put a few dozen rows into smoke.jsonl, of every label, that were not trained on."


def rows_for(
    folder: Folder, frozen: Frozen, task: str, labels: int, warn: Callable[[CheckResult], None], lent_by: str = ""
) -> Rows:
    """Return the rows to run the adapter on; `warn` is called if given rows are not used or measure little."""
    evaluation, count = _evaluation(folder, frozen, task), labels_of(folder, labels)
    try:
        rows = smoke(folder, frozen, evaluation, count, lent_by)
    except RowsError as problem:
        rows = None
        which = f"smoke.jsonl of {lent_by}" if lent_by else "smoke.jsonl"
        warn(CheckResult("eval.rows", "warned", f"{which} was not used: {problem}.", ROWS_FIX))
    if odd := _odd_names(folder, evaluation, count):
        warn(CheckResult("eval.rows", "warned", odd, NAMES_FIX))
    if rows is not None:
        repeated = repeats(rows.rows)
        doubt = of_one_label(rows.rows) or (repeated if too_few(distinct(rows.rows)) else "")
        beside = (rows.unused, *(() if lent_by else (repeated, _seen(rows, folder))))
        if problems := dict.fromkeys(part for part in (too_few(rows.rows) or doubt, *beside) if part):
            warn(CheckResult("eval.rows", "warned", " ".join(problems), MORE_ROWS))
        return replace(rows, doubt=doubt)
    frozen_rows = recall(frozen, task, evaluation)
    if frozen_rows is not None:
        return frozen_rows.rows
    return neutral(frozen, evaluation, codec_of(folder, frozen, count))


def _odd_names(folder: Folder, evaluation: Eval, count: int) -> str:
    """Return a sentence about names of labels in the card that are more or fewer than the head's outputs, or ""."""
    names = (folder.card or {}).get("label_names")
    if evaluation.task not in WITH_LABELS or count == 1 or not isinstance(names, list) or len(names) == count:
        return ""
    return f"label_names in the card has {len(names)} names, but the head has {count} outputs."


def _seen(rows: Rows, folder: Folder) -> str:
    """Return a sentence about rows that stand in other data of the repository, most likely what it was trained on."""
    count, path = trained_on(rows.rows, folder.files, NAME)
    if not count:
        return ""
    return (
        f"{count} of {len(rows.rows)} rows of smoke.jsonl are also in {path[:120]}: the number shows "
        "what it memorised, not what it learned."
    )


def _evaluation(folder: Folder, frozen: Frozen, task: str) -> Eval:
    """Return the task; a language adapter without a head fills in masked words if its base has the head for it."""
    if not isinstance(folder, Library):
        return eval_of(task)
    fills = folder.library_kind == LANGUAGE and language_modeling.can_fill(frozen.model(task), frozen.tokenizer)
    return eval_of(folder.head_task or (language_modeling.MASKED.task if fills else "FEATURE_EXTRACTION"))


def labels_of(folder: Folder, labels: int) -> int:
    """Return the number of labels of the head; one of the adapters library states it in its own config."""
    if not isinstance(folder, Library):
        return labels
    inner = folder.head_config.get("config")
    count = inner.get("num_labels") if isinstance(inner, dict) else None
    return count if type(count) is int and count > 0 else len(folder.label_names) or 2
