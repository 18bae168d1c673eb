"""One search over everything that has a name or a digest: adapters, bases, owners, files. Only reads.

Typing errors are corrected by the words of the repositories that everybody sees.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from django.core.cache import caches
from django.db.models import Case, IntegerField, Q, When

from registry.kernel.capacity import bounded
from registry.kernel.policy import NOBODY, Caller, listed_to
from registry.models import Namespace, Repository, RevisionFile
from registry.repos import bases, digests
from registry.repos.lists import catalog, search_terms, tallies
from registry.repos.lists.catalog import Query, SearchPage
from registry.repos.lists.search_terms import Head
from registry.repos.lists.tallies import BaseLine

KEY = "vocabulary"  # in the shared cache
READING = "vocabulary-reading"
READ = 2_000  # repositories of a type, the most used first
MOST = 10_000  # words
SECONDS = 50  # what is held back is in no answer after a minute
SHORTEST = 3  # characters of a word that is corrected
LONGEST = 40
ALIKE = 0.7  # share of equal characters: "loar" is that near to "lora"
_PARTS = re.compile(r"[^-_./:\s]+")


def closest_words(text: str) -> str:
    """Return a text with each word that nothing is called by replaced by the likeliest one; "" if no word is."""
    words, known = text.lower().split()[:8], _vocabulary()
    corrected = [_correct(word, known) for word in words]
    return " ".join(corrected) if corrected != words else ""


def _correct(word: str, known: list[str]) -> str:
    """Return a word as something is called; of an id or a name of several words, each of them."""
    if not SHORTEST <= len(word) <= LONGEST or any(word in one for one in known):
        return word
    pairs = [word[at : at + 2] for at in range(len(word) - 1)]  # like words share one, and difflib takes its time
    near = [one for one in known if abs(len(one) - len(word)) <= 2 and any(pair in one for pair in pairs)]
    if closest := get_close_matches(word, near, n=1, cutoff=ALIKE):
        return closest[0]
    return word if _PARTS.fullmatch(word) else _PARTS.sub(lambda part: _correct(part[0], known), word)


def _vocabulary() -> list[str]:
    """Return the names, titles, bases, kinds, tasks and tags of public repositories, also in parts.

    One process reads them at a time; what others search meanwhile is not corrected.
    """
    cache = caches["default"]
    words: list[str] | None = cache.get(KEY)
    if words is None and cache.add(READING, True, SECONDS):
        try:
            words = _read()
            cache.set(KEY, words, SECONDS)
        finally:
            cache.delete(READING)
    return words or []


def _read() -> list[str]:
    """Read them of the most used repositories of each type, which an index has in this order."""
    words: dict[str, None] = {}
    for type in Repository.Type.values:
        rows = Repository.objects.filter(listed_to(NOBODY), type=type).order_by("-trending", "-id")
        columns = rows.values_list("namespace__name", "name", Head("search_text"), "base", "kind", "task", "tags")
        for *names, tags in columns[:READ]:
            for text in (*names, *(tag for tag in tags if isinstance(tag, str))):
                words |= dict.fromkeys([text.lower().rpartition("/")[2], *_PARTS.findall(text.lower())])
            if len(words) > MOST:
                break
    return [word for word in words if SHORTEST <= len(word) <= LONGEST]


MAX_WORDS = 8
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Others:
    """The first of each kind that a search found besides adapters."""

    bases: Sequence[BaseLine]
    owners: Sequence[Namespace]
    files: Sequence[RevisionFile]

    def __bool__(self) -> bool:
        return bool(self.bases or self.owners or self.files)


@dataclass(frozen=True)
class Found(Others):
    """The first of each kind that a search found; `adapters.next` is set where there are more of them."""

    adapters: SearchPage

    def __bool__(self) -> bool:
        return bool(self.adapters.items) or super().__bool__()


def find(by: Caller, query: Query, limit: int = 10, *, with_verdicts: bool = True) -> Found:
    """Return what the caller may see under the words of a query; a constant number of queries."""
    by_words = replace(query, sort=search_terms.NAME)
    adapters = catalog.search(by, by_words, limit=limit, with_verdicts=with_verdicts)
    return Found(**vars(find_others(by, query.q, limit)), adapters=adapters)


def find_others(by: Caller, q: str, limit: int) -> Others:
    """Return the same without adapters: bases, owners, and files, of whose sha256 words of hex digits are the start."""
    words = q.lower().split()[:MAX_WORDS]
    return Others(
        _find_bases(by, q, words, limit),
        _find_owners(by, words, limit),
        digests.places_of_prefix(words[0], by, limit) if len(words) == 1 and _DIGEST.fullmatch(words[0]) else (),
    )


def suggest(by: Caller, query: Query) -> str:
    """Return the likeliest correction of words that find nothing, if it finds something; else ""."""
    closest = closest_words(query.q)
    if not closest:
        return ""
    corrected = Query(q=closest, type=query.type, only_verified=query.only_verified)
    return closest if find(by, corrected, limit=1) else ""


def _find_bases(by: Caller, name: str, words: Sequence[str], limit: int) -> list[BaseLine]:
    """Return the base that the whole text is a name of, then those whose id has all the words, the commonest first."""
    lines = tallies.list_bases(by, words=words, limit=limit).items if words else []
    exact = bases.find_base(name)
    if exact is None:
        return lines
    others = [line for line in lines if line.id != exact.id]
    return [BaseLine(exact.id, tallies.count_by_base(by, [exact.id]).get(exact.id, 0), exact), *others][:limit]


def _find_owners(by: Caller, words: Sequence[str], limit: int) -> list[Namespace]:
    """Return people and organisations of this hub by parts of their names, exact names first."""
    if not words:
        return []
    condition = Q(source="")
    for word in words:
        in_full = Q(person__full_name__icontains=word) | Q(organization__full_name__icontains=word)
        condition &= Q(name__lower__contains=word) | in_full
    rows = Namespace.objects.filter(condition).select_related("person", "organization")
    if not by.is_staff:
        rows = rows.filter(Q(kind=Namespace.Kind.ORGANIZATION) | Q(person__is_active=True))
    is_exact = Case(When(name__lower=words[0], then=0), default=1, output_field=IntegerField())
    with bounded("search"):
        return list(rows.order_by(is_exact, "name")[:limit])


def full_name(owner: Namespace) -> str:
    """Return the name that a person or an organisation gives itself, "" without one."""
    return owner.person.full_name if owner.kind == Namespace.Kind.PERSON else owner.organization.full_name
