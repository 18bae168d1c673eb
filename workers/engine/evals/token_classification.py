"""Token classification: F1 over the words that are something, each word read at its first piece."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import Any

from workers.engine.evals import builtin, measures
from workers.engine.evals.desk import Batch, Desk, Row, is_count
from workers.engine.evals.measures import Metric
from workers.engine.evals.task import Eval, Line, Seen, numbers_agree

OUTSIDE = "O"


class TokenClassification(Eval):
    task = "TOKEN_CLS"
    most = 128
    builtin = builtin.TOKENS

    def is_row(self, row: Row) -> bool:
        tokens, labels = row.get("tokens"), row.get("labels")
        if not isinstance(tokens, list) or not isinstance(labels, list) or not 1 <= len(tokens) == len(labels):
            return False
        return all(isinstance(t, str) and t.strip() for t in tokens) and all(
            isinstance(label, str) or (is_count(label) and label >= 0) for label in labels
        )

    def problem(self, rows: Sequence[Row], desk: Desk) -> str:
        highest = max(desk.number(label) for row in rows for label in row["labels"])
        return (
            f"a row has label {highest}, but the head has {desk.count}, counted from 0" if highest >= desk.count else ""
        )

    def size(self, row: Row) -> int:
        return sum(len(token) + 1 for token in row["tokens"])

    def batch(self, desk: Desk, rows: Sequence[Row]) -> Batch:
        """The words joined by spaces: only some tokenizers take words one by one.

        Where a word's first piece looks otherwise after a space, the first word gets one too (GPT-2, RoBERTa).
        """
        start = " " if getattr(desk.tokenizer, "add_prefix_space", None) is False else ""
        texts = [start + " ".join(row["tokens"]) for row in rows]
        if not desk.tokenizer.is_fast:
            return Batch(desk.inputs(desk.tokens(texts)))
        said = desk.tokens(texts, return_offsets_mapping=True)
        ends = [_ends(row["tokens"], len(start)) for row in rows]
        found = [
            _first_pieces(spans.tolist(), words) for spans, words in zip(said["offset_mapping"], ends, strict=True)
        ]
        places = [list(pieces.values()) for pieces in found]
        return Batch(desk.inputs(said), {"places": places}, [list(pieces) for pieces in found])

    def read(self, answer: Any, batch: Batch) -> list[Line]:
        """The logits of each word that was not cut off; of every token where the tokenizer does not tell the words."""
        places = batch.facts.get("places")
        if places is None:
            return super().read(answer, batch)
        said = answer.logits[:, -batch.weights.shape[1] :]
        return [line[at] for line, at in zip(said, places, strict=True)]

    def measure(self, seen: Seen) -> list[Metric]:
        wanted = _wanted(seen)
        if not wanted or len(wanted) != sum(len(line) for line in seen.adapter):
            return []
        found, alone = _flat(seen.adapter), _flat(seen.base)
        inside: set[Any] = set(range(seen.desk.count)) - {seen.desk.labels.get(OUTSIDE, -1)}
        guess = [measures.commonest(wanted)] * len(wanted)
        counted = [measures.f1_of(said, wanted, inside) for said in (guess, found, alone)]
        right = [measures.accuracy(said, wanted) for said in (guess, found, alone)]
        rows = len(seen.rows)
        return [
            Metric("f1", counted[0], counted[1], rows, head_alone=counted[2]),
            Metric("accuracy", right[0], right[1], rows, head_alone=right[2], rough=True),
        ]

    def degenerate(self, seen: Seen) -> str:
        found, wanted = set(_flat(seen.adapter)), set(_wanted(seen))
        outside = seen.desk.labels.get(OUTSIDE)
        if len(found) == 1 and len(wanted) > 1:
            label = next(iter(found))
            more = ": it finds nothing at all" if label == outside else ""
            return f"It calls every word {seen.desk.name(label)}{more}."
        return ""

    def shown(self, seen: Seen, at: int) -> tuple[str, str, str, str]:
        row = seen.rows[at]
        words = [row["tokens"][word] for word in seen.facts[at] or ()]
        wanted = [seen.desk.number(row["labels"][word]) for word in seen.facts[at] or ()] if "labels" in row else []
        base, adapter = (_tagged(seen, words, line.argmax(-1).tolist()) for line in (seen.base[at], seen.adapter[at]))
        return " ".join(row["tokens"]), _tagged(seen, words, wanted) if wanted else "", base, adapter

    def agrees(self, seen: Seen, at: int) -> bool | None:
        wanted = seen.rows[at]["expected"]
        if isinstance(wanted, list) and wanted and all(isinstance(label, str) or is_count(label) for label in wanted):
            found = seen.adapter[at].argmax(-1).tolist()
            words = seen.facts[at] or range(len(found))
            return bool([seen.desk.number(wanted[word]) for word in words if word < len(wanted)] == found)
        return numbers_agree(wanted, seen.adapter[at])


def _ends(words: Sequence[str], start: int) -> list[int]:
    """Return the end of each word in the joined text."""
    lengths = itertools.accumulate(len(word) + 1 for word in words)
    return [start + length - 1 for length in lengths]


def _first_pieces(spans: Sequence[Sequence[int]], ends: Sequence[int]) -> dict[int, int]:
    """The place of the first piece of each word; not of words that were cut off or that the tokenizer does not know."""
    found: dict[int, int] = {}
    for place, (start, end) in enumerate(spans):
        word = bisect.bisect_left(ends, end)
        if end > start and word < len(ends):
            found.setdefault(word, place)
    return found


def _wanted(seen: Seen) -> list[int]:
    """The labels of all words that were read."""
    rows = [(row["labels"], words) for row, words in zip(seen.rows, seen.facts, strict=True) if "labels" in row]
    return [seen.desk.number(labels[word]) for labels, words in rows for word in words or ()]


def _flat(lines: Sequence[Line]) -> list[int]:
    return [int(label) for line in lines for label in line.argmax(-1)]


def _tagged(seen: Seen, words: Sequence[str], labels: Sequence[int]) -> str:
    """The words that are something, each with what it is."""
    outside = seen.desk.labels.get(OUTSIDE)
    tagged = [f"{word}/{seen.desk.name(label)}" for word, label in zip(words, labels, strict=False) if label != outside]
    return " ".join(tagged) or "nothing"


EVAL = TokenClassification()
