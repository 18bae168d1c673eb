"""One search over everything that has a name or a digest: adapters, bases, owners, files. Only reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Case, IntegerField, Q, When

from registry.kernel.limits.capacity import bounded
from registry.kernel.policy import Caller
from registry.models import Namespace, RevisionFile
from registry.repos import bases, digests
from registry.repos.lists import catalog, relevance, suggestions, tallies
from registry.repos.lists.catalog import Query, SearchPage
from registry.repos.lists.tallies import BaseLine

MAX_WORDS = 8
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Found:
    """The first of each kind that a search found; `adapters.next` is set where there are more of them."""

    adapters: SearchPage
    bases: Sequence[BaseLine]
    owners: Sequence[Namespace]
    files: Sequence[RevisionFile]

    def __bool__(self) -> bool:
        return bool(self.adapters.items or self.bases or self.owners or self.files)


def find(by: Caller, query: Query, limit: int = 10) -> Found:
    """Return what the caller may see under the words of a query; a constant number of queries.

    Words that are eight or more hex digits are also the beginning of the sha256 of files.
    """
    words = query.q.lower().split()[:MAX_WORDS]
    return Found(
        catalog.search(by, replace(query, sort=relevance.NAME), limit=limit),
        _find_bases(by, query.q, words, limit),
        _find_owners(by, words, limit),
        digests.places_of_prefix(words[0], by, limit) if len(words) == 1 and _DIGEST.fullmatch(words[0]) else (),
    )


def suggest(by: Caller, query: Query) -> str:
    """Return the likeliest correction of words that find nothing, if it finds something; else ""."""
    closest = suggestions.closest(query.q)
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
