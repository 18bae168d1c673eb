"""The rows on which the sides of a comparison disagree: by their scores, with their texts where these are stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.compare.comparisons import COMPARES, Conclusion, Measured
from features.compare.pages.compared import LETTERS, Side
from registry.proof.verified import regressions
from registry.repos.contents import facts

MOST, LONGEST = 12, 300  # rows that are shown, and characters of each
EXPECTED = ("label", "labels", "answers", "answer", "output", "completion", "score")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one side to a row: in its words if that is stored."""

    letter: str
    is_right: bool
    words: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A row that some sides get right and others do not; its text is empty where no file of a side holds it."""

    number: int  # from 1
    text: str
    expected: str
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Flips:
    """The rows on which the sides disagree: the first `MOST`, their number, and that of all rows."""

    rows: Sequence[Flip]
    count: int
    of: int
    gained: int  # right on the last of two sides alone

    @property
    def lost(self) -> int:
        return self.count - self.gained

    @property
    def left_out(self) -> int:
        return self.count - len(self.rows)


def flips(sides: Sequence[Side], found: Conclusion) -> Flips | None:
    """Return the rows that flipped; None where the sides were not measured right or wrong on the same rows."""
    known = [side for side in found.sides if side] if found.outcome in COMPARES else []
    scores = [side.evaluation.scores or () for side in known]
    if not all(scores) or len({len(side) for side in scores}) != 1 or not set().union(*scores) <= {0.0, 1.0}:
        return None
    differing = [at for at, row in enumerate(zip(*scores, strict=True)) if len(set(row)) > 1]
    texts = _texts(sides, known[0], len(scores[0]))
    stored = [_answers(side) for side in sides]
    rows = [
        _flip(at, texts[at] if texts else {}, [bool(side[at]) for side in scores], stored) for at in differing[:MOST]
    ]
    gained = sum(bool(scores[-1][at]) for at in differing)
    return Flips(rows, len(differing), len(scores[0]), gained)


def _answers(side: Side) -> Mapping[str, str]:
    """Return the answers of a side by the text of their rows: a report keeps a few."""
    return {sample.input: sample.adapter for sample in side.report.samples} if side.report and not side.refusal else {}


def _texts(sides: Sequence[Side], rows: Measured, count: int) -> list[Mapping[str, Any]] | None:
    """Return the rows themselves from the file of a side that brought them, None where none holds so many."""
    if any(side.refusal for side in sides):
        return None
    for side in sides:
        own = side.report and next((one for one in side.report.evals if one.rows_sha256 == rows.rows[0]), None)
        entry = side.header.entries.get(regressions.path_of(side.report.path)) if side.report and own else None
        if entry is None or entry.size > regressions.MAX_BYTES:
            continue
        with facts.open_blob(entry.sha256, entry.size) as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
        found = [row for row in map(_parsed, filter(str.strip, lines)) if row]
        if len(found) == count:  # else the engine left some out, and the numbers are of others
            names = side.report.conditions.label_names if side.report and side.report.conditions else ()
            return [_labelled(row, names or ()) for row in found]
    return None


def _labelled(row: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Return a row with the name of its label in place of the number."""
    label = row.get("label")
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
        return {**row, "label": names[label]}
    return row


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _flip(at: int, row: Mapping[str, Any], right: Sequence[bool], stored: Sequence[Mapping[str, str]]) -> Flip:
    expected = next((_words(row[name]) for name in EXPECTED if name in row), "")
    text = " · ".join(_words(value) for name, value in row.items() if name not in EXPECTED)
    plain = " ".join(text.split())
    answers = [
        Answer(letter, is_right, known.get(plain, ""))
        for letter, is_right, known in zip(LETTERS, right, stored, strict=False)
    ]
    return Flip(at + 1, _cut(plain), _cut(expected), answers)


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
