"""Corrects typing errors in searches, by the words of the repositories that everybody sees."""

import re
from difflib import get_close_matches

from django.core.cache import caches

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.repos.lists.catalog import listable_for
from registry.repos.lists.search_terms import Head

KEY = "vocabulary"  # in the shared cache
READ = 2_000  # repositories, the most used first
MOST = 10_000  # words
SECONDS = 50  # what is held back is in no answer after a minute
SHORTEST = 3  # characters of a word that is corrected
LONGEST = 40
ALIKE = 0.7  # share of equal characters: "loar" is that near to "lora"
_PARTS = re.compile(r"[^-_./:\s]+")


def closest(text: str) -> str:
    """Return a text with each word that nothing is called by replaced by the likeliest one; "" if no word is."""
    words, known = text.lower().split()[:8], _vocabulary()
    corrected = [_correct(word, known) for word in words]
    return " ".join(corrected) if corrected != words else ""


def _correct(word: str, known: list[str]) -> str:
    """Return a word as something is called; of an id or a name of several words, each of them."""
    if not SHORTEST <= len(word) <= LONGEST or any(word in one for one in known):
        return word
    near = [one for one in known if abs(len(one) - len(word)) <= 2]
    if closest := get_close_matches(word, near, n=1, cutoff=ALIKE):
        return closest[0]
    return word if _PARTS.fullmatch(word) else _PARTS.sub(lambda part: _correct(part[0], known), word)


def _vocabulary() -> list[str]:
    """Return the names, titles, bases, kinds, tasks and tags of public repositories, also in parts; one query."""
    words: list[str] = caches["default"].get_or_set(KEY, _read, SECONDS) or []
    return words


def _read() -> list[str]:
    rows = Repository.objects.filter(listable_for(NOBODY)).order_by("-trending", "-id")
    columns = rows.values_list("namespace__name", "name", Head("search_text"), "base", "kind", "task", "tags")
    words: dict[str, None] = {}
    for *names, tags in columns[:READ]:
        for text in (*names, *(tag for tag in tags if isinstance(tag, str))):
            words |= dict.fromkeys([text.lower().rpartition("/")[2], *_PARTS.findall(text.lower())])
        if len(words) > MOST:
            break
    return [word for word in words if SHORTEST <= len(word) <= LONGEST]
