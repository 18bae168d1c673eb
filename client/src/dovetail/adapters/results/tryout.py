"""The answer to a try: what a base and an adapter make of a text that somebody wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from dovetail.adapters.results.records import SPARSE, Record

LABELS = 10  # of a classifier, the likeliest first
MAX_MARKS = 200


@dataclass(frozen=True, slots=True)
class Share(Record):
    """A label and its probability; of a head with one output, its value."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark(Record):
    """A part of the text, as places of its characters, with the label that it was given and the label's probability."""

    start: float
    end: float
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Side(Record):
    """The answer of the base, or of the adapter; only what belongs to the task is there."""

    labels: tuple[Share, ...] = ()
    marks: tuple[Mark, ...] = ()
    text: str | None = field(default=None, metadata=SPARSE)
    similarity: float | None = field(default=None, metadata=SPARSE)  # cosine of the two texts


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """Both answers. `tokens_read` of the `tokens` of the texts fitted; `guessed`: the names of the labels are a guess.

    `moved` is the cosine between the base's vector of the text and the adapter's.
    """

    task: str
    base: Side
    adapter: Side
    tokens_read: float = 0
    tokens: float = 0
    guessed: bool = False
    moved: float | None = field(default=None, metadata=SPARSE)
