"""Chooses the task by which an adapter is measured, and its rows: the author's if they fit, else the built-in ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.library.contents import Library
from dovetail.adapters.results.report import CheckResult
from workers.engine.evals import eval_of, masked
from workers.engine.evals.rows.base_outputs import recall
from workers.engine.evals.rows.doubts import distinct, of_one_label, repeats, too_few, trained_on
from workers.engine.evals.rows.rows import NAME, Rows, RowsError, codec_of, neutral, smoke
from workers.engine.evals.task import Eval
from workers.engine.models.frozen import WITH_LABELS, Frozen

LANGUAGE = "language"
ROWS_FIX = (
    'Write one JSON object a line, such as {"text": "…", "label": 0} for classification; '
    "the page docs/checks has the form for each task."
)
NAMES_FIX = "Name each output of the head once in label_names, in the order of the outputs."
MORE_ROWS = "Put some dozens of rows in smoke.jsonl, of every label, that were not trained on."


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
        f"{count} of {len(rows.rows)} rows of smoke.jsonl stand in {path[:120]} too: the number says what it "
        "remembers, not what it learned."
    )


def _evaluation(folder: Folder, frozen: Frozen, task: str) -> Eval:
    """Return the task; a language adapter without a head fills in masked words if its base has the head for it."""
    if not isinstance(folder, Library):
        return eval_of(task)
    fills = folder.library_kind == LANGUAGE and masked.can_fill(frozen.model(task), frozen.tokenizer)
    return eval_of(folder.head_task or (masked.EVAL.task if fills else "FEATURE_EXTRACTION"))


def labels_of(folder: Folder, labels: int) -> int:
    """Return the number of labels of the head; one of the adapters library states it in its own config."""
    if not isinstance(folder, Library):
        return labels
    inner = folder.head_config.get("config")
    count = inner.get("num_labels") if isinstance(inner, dict) else None
    return count if type(count) is int and count > 0 else len(folder.label_names) or 2
