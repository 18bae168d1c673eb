"""The lineage of a repository as its page and REST have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.kernel import seams
from registry.kernel.callers import Caller
from registry.kernel.texts.cursors import Page
from registry.models import DerivedVersion, Repository
from registry.proof.weights import passports
from registry.proof.weights.passports import Relative
from registry.publish.made import lineage
from registry.publish.made.lineage import MOST, NamedBase, Steps
from registry.repos import digests
from registry.repos.contents import facts
from registry.repos.lists.catalog import SearchPage
from registry.repos.manifest import Entry


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that a repository was made from, that was made of it, and that holds or names it, as a caller sees it.

    Each list is bounded; pages have a `next` where more was found.
    """

    bases: Sequence[NamedBase]
    made_from: Steps
    made_of_it: Steps
    other_forms: Sequence[DerivedVersion]
    copies: Sequence[Relative]
    named_by: SearchPage
    lists: Page[Any]


def read(repository: Repository, entries: Mapping[str, Entry], by: Caller) -> Lineage:
    """Return the lineage of a repository whose main has these files; a constant number of queries."""
    return Lineage(
        lineage.named_bases(facts.read_facts(entries).bases, by),
        lineage.made_from(repository, by),
        lineage.made_of_it(repository, by),
        lineage.other_forms(repository),
        passports.relatives_of_files(digests.weight_files(entries), repository, by),
        lineage.named_by(repository, by),
        seams.lists_with(repository, by, limit=MOST),
    )
