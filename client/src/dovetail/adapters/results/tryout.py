"""The answer to a try: what a base and an adapter make of a text that somebody wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from dovetail.adapters.results.records import SPARSE, Record

LABELS = 10  # of a classifier, the likeliest first
MAX_MARKS = 200


@dataclass(frozen=True, slots=True)
class Share(Record):
    """A label, as a classifier gives it."""

    label: str
    value: Annotated[float, "its probability; of a head with one output, its value"]


@dataclass(frozen=True, slots=True)
class Mark(Record):
    """A part of the text, with the label that it was given."""

    start: Annotated[float, "of the first character, counted from 0"]
    end: Annotated[float, "after the last character"]
    label: str
    value: Annotated[float, "the label's probability, the least of all words of the mark"]


@dataclass(frozen=True, slots=True)
class Side(Record):
    """The answer of the base, or of the adapter; only what belongs to the task is there."""

    labels: Annotated[tuple[Share, ...], "of a classifier, the likeliest first, ten at most"] = ()
    marks: Annotated[tuple[Mark, ...], "of a token classifier"] = ()
    text: Annotated[str | None, "of a model that writes, or answers questions"] = field(default=None, metadata=SPARSE)
    similarity: Annotated[float | None, "cosine of both texts, of a model for embeddings"] = field(
        default=None, metadata=SPARSE
    )


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """The answers of the base and the adapter."""

    task: Annotated[str, "SEQ_CLS, TOKEN_CLS, CAUSAL_LM, SEQ_2_SEQ_LM, FEATURE_EXTRACTION …"]
    base: Annotated[Side, "the frozen base; of a classifier, with the adapter's own head"]
    adapter: Side
    tokens_read: Annotated[float, "tokens of the texts that were read"] = 0
    tokens: Annotated[float, "tokens that the texts have; those beyond `tokens_read` were cut off"] = 0
    guessed: Annotated[bool, "true: the card names no labels, and their names are a guess"] = False
    moved: Annotated[float | None, "cosine of the base's vector of the text and the adapter's"] = field(
        default=None, metadata=SPARSE
    )
