"""The search in the documentation: sections that have all words, those with the words in their headings first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from hub.site.docs.documentation import Section, names, page

LONGEST = 200  # characters of a query
MOST_WORDS = 8
MOST_FOUND = 20
BEFORE, EXCERPT = 60, 220  # characters before the first match, and in all


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that was found; `excerpt` is a piece of its text around the first word, split at matches."""

    section: Section
    excerpt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits, and the number of all."""

    hits: list[Hit]
    total: int


def search(query: str) -> Found:
    """Return the sections that have all words of a query, the best first; nothing for a query without words."""
    words = query[:LONGEST].casefold().split()[:MOST_WORDS]
    if not words:
        return Found([], 0)
    scored = [(_score(each, words), each.section) for each in _folded() if all(word in each for word in words)]
    scored.sort(key=lambda pair: -pair[0])  # stable: equals stay in the order of reading
    return Found([Hit(section, _excerpt(section.text, words)) for _, section in scored[:MOST_FOUND]], len(scored))


@dataclass(frozen=True, slots=True)
class _Folded:
    """A section in lower case, as words are compared with it."""

    section: Section
    heading: str
    title: str
    text: str

    def __contains__(self, word: str) -> bool:
        return word in self.heading or word in self.text or word in self.title


@cache
def _folded() -> list[_Folded]:
    sections = [section for name in names() for section in page(name).sections]
    return [_Folded(each, each.heading.casefold(), each.title.casefold(), each.text.casefold()) for each in sections]


def _score(each: _Folded, words: Sequence[str]) -> int:
    """Return how well a section answers: words in its heading weigh most, a heading that is the query above all."""
    phrase = " ".join(words)
    score = sum(
        8 * _weight(word, each.heading) + 2 * _weight(word, each.title) + _weight(word, each.text) for word in words
    )
    if phrase in each.text:
        score += 8
    if phrase == each.heading:
        score += 80
    return score


def _weight(word: str, text: str) -> int:
    """Return 2 for a text in which the word begins one, 1 for a text that has it elsewhere, 0 for another."""
    if word not in text:
        return 0
    return 2 if re.search(rf"(?<![a-z0-9]){re.escape(word)}", text) else 1


def _excerpt(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return a piece of a text around its first match, split at all matches."""
    pattern = re.compile("(" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")", re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - BEFORE) if first else 0
    start = text.rfind(" ", 0, start) + 1  # a whole word
    piece = text[start : start + EXCERPT]
    if len(text) > start + EXCERPT:
        piece = piece.rpartition(" ")[0] + " …"
    return tuple(pattern.split(("… " if start else "") + piece))
