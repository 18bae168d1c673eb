"""The answer to a try as its page shows it: a table of labels, a text with marks, a continuation, or a similarity."""

from dataclasses import dataclass, field

from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.tryout import Answer, Mark, Side
from registry.models import Tryout

BASE, ADAPTER = _("Base"), _("This adapter")
WITH_HEAD = _("Base with this adapter's head")  # the base has none of its own, or one that was never trained
OWN_HEADS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
WRITES = ("CAUSAL_LM", "SEQ_2_SEQ_LM")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label, and its probability on either side; None where it is not among the likeliest there."""

    label: str
    values: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; `label` is "" where nothing was found."""

    text: str
    label: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class ShownSide:
    name: str
    text: str | None = None
    pieces: list[Piece] = field(default_factory=list)
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about an answer that the page shows. `is_value`: the labels are one number and no probabilities."""

    answer: Answer
    sides: tuple[ShownSide, ShownSide]
    labels: list[LabelRow]
    is_value: bool
    is_written: bool
    has_marks: bool
    took_ms: float | None

    @property
    def is_cut(self) -> bool:
        return self.answer.tokens_read < self.answer.tokens

    @property
    def is_same(self) -> bool:
        return self.answer.base == self.answer.adapter


def shown_answer(row: Tryout) -> Shown:
    """Return the answer of a finished try as its page shows it."""
    answer = Answer.read(row.answer or {})
    base = WITH_HEAD if answer.task in OWN_HEADS else BASE
    sides = (_side(str(base), answer.base, row.text), _side(str(ADAPTER), answer.adapter, row.text))
    labels = _labels(answer)
    is_value = len(labels) == 1 and labels[0].label == "score"
    has_marks = answer.task == "TOKEN_CLS"
    took = row.finished_at - row.started_at if row.finished_at and row.started_at else None
    took_ms = 1000 * took.total_seconds() if took else None
    return Shown(answer, sides, labels, is_value, answer.task in WRITES, has_marks, took_ms)


def _side(name: str, side: Side, text: str) -> ShownSide:
    return ShownSide(name, side.text, _pieces(text, side.marks), side.similarity)


def _labels(answer: Answer) -> list[LabelRow]:
    """Return the labels of either side, those of the adapter first."""
    sides = [{share.label: share.value for share in side.labels} for side in (answer.base, answer.adapter)]
    names = dict.fromkeys([*sides[1], *sides[0]])
    return [LabelRow(name, (sides[0].get(name), sides[1].get(name))) for name in names]


def _pieces(text: str, marks: tuple[Mark, ...]) -> list[Piece]:
    """Return the text in parts, of which some are marked."""
    pieces, at = [], 0
    for mark in marks:
        start, end = int(mark.start), int(mark.end)
        if at <= start < end <= len(text):
            pieces += [Piece(text[at:start]), Piece(text[start:end], mark.label, mark.value)]
            at = end
    return [piece for piece in (*pieces, Piece(text[at:])) if piece.text]
