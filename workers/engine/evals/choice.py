"""Which task an adapter is measured by, and on which rows: its author's, where they fit, else ours."""

from __future__ import annotations

from collections.abc import Callable

from dovetail.adapters.findings import Result
from dovetail.adapters.folder import Folder
from dovetail.adapters.library.contents import Library
from workers.engine.evals import masked, of
from workers.engine.evals.known import recall
from workers.engine.evals.rows import Rows, RowsError, desk_of, doubts, neutral, smoke
from workers.engine.evals.task import Eval
from workers.engine.frozen import Frozen

LANGUAGE = "language"
ROWS_FIX = (
    'Write one JSON object a line, such as {"text": "…", "label": 0} for classification; '
    "the page docs/checks has the form for each task."
)
MORE_ROWS = "Put some dozens of rows in smoke.jsonl, of every label, that were not trained on."


def rows_for(
    folder: Folder, frozen: Frozen, task: str, labels: int, warn: Callable[[Result], None], lent_by: str = ""
) -> Rows:
    """The rows to run the adapter on; `warn` hears why the author's, or the set's, were not taken or say little."""
    evaluation, count = _evaluation(folder, frozen, task), _labels(folder, labels)
    try:
        rows = smoke(folder, frozen, evaluation, count, lent_by)
    except RowsError as problem:
        rows = None
        which = f"smoke.jsonl of {lent_by}" if lent_by else "smoke.jsonl"
        warn(Result("eval.rows", "warned", f"{which} was not used: {problem}.", ROWS_FIX))
    if rows is not None:
        if doubt := doubts(rows.rows):
            warn(Result("eval.rows", "warned", doubt, MORE_ROWS))
        return rows
    known = recall(frozen, task, evaluation)
    if known is not None:
        return known.rows
    return neutral(frozen, evaluation, desk_of(folder, frozen, count))


def _evaluation(folder: Folder, frozen: Frozen, task: str) -> Eval:
    """A language adapter without a head is asked to fill in words, where its base came with the head for it."""
    if not isinstance(folder, Library):
        return of(task)
    fills = folder.library_kind == LANGUAGE and masked.can_fill(frozen.model(task), frozen.tokenizer)
    return of(folder.head_task or (masked.EVAL.task if fills else "FEATURE_EXTRACTION"))


def _labels(folder: Folder, labels: int) -> int:
    """How many labels the head has; one of the adapters library says so in its own config."""
    if not isinstance(folder, Library):
        return labels
    inner = folder.head_config.get("config")
    said = inner.get("num_labels") if isinstance(inner, dict) else None
    return said if type(said) is int and said > 0 else len(folder.label_names) or 2
