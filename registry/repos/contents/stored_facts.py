"""Keeps the facts of each revision as a row, so that pages and answers about it read nothing from the store.

A push writes the row. One that is missing, or of an older parser, is computed from the store and written when somebody
asks, or by a worker.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from dovetail.adapters.formats.description import Description
from dovetail.adapters.results.usage import AdapterUsage
from dovetail.adapters.shapes.trainer_facts import Training
from dovetail.adapters.shapes.trainer_settings import Stated
from registry.kernel.errors import StoreUnavailable
from registry.models import Revision, RevisionFacts
from registry.repos.contents.card import Card
from registry.repos.contents.facts import MAX_TEXT, Facts, read_available_facts, read_facts
from registry.repos.manifest import Entry
from registry.sql.prepared import insert_rows

VERSION = 1  # one more whenever the same files get other facts, or the JSON another shape


def revision_facts(revision: Revision, entries: Mapping[str, Entry]) -> Facts:
    """Return the facts of a revision with these files; none for no files, as of what is held back.

    Without a row raises StoreUnavailable, also if the store has lost a file.
    """
    return facts_of({revision: entries})[revision]


def available_facts(trees: Mapping[Revision, Mapping[str, Entry]]) -> dict[Revision, Facts]:
    """Return the facts of many revisions with these files, without those in files that the store has lost.

    Raises StoreUnavailable if a row is missing and the store does not answer.
    """
    return facts_of(trees, without_lost_files=True)


def facts_of(
    trees: Mapping[Revision, Mapping[str, Entry]], *, without_lost_files: bool = False
) -> dict[Revision, Facts]:
    """Return the facts of many revisions with these files, by two queries however many rows are missing.

    If a row is missing raises StoreUnavailable where the store does not answer, and where it has lost a file unless
    the facts are to be those `without_lost_files`.
    """
    rows = RevisionFacts.objects.filter(pk__in=[revision.pk for revision, entries in trees.items() if entries])
    kept = {pk: (version, document) for pk, version, document in rows.values_list("pk", "version", "facts")}
    found: dict[Revision, Facts] = {}
    fresh: dict[Revision, Facts] = {}
    for revision, entries in trees.items():
        version, document = kept.get(revision.pk, (0, ""))
        if version == VERSION:
            found[revision] = _parsed(document)
            continue
        try:
            found[revision] = read_facts(entries, revision.repository.type)
        except StoreUnavailable:
            if not without_lost_files:
                raise
            found[revision] = read_available_facts(entries, revision.repository.type)
        else:
            if entries and version < VERSION:
                fresh[revision] = found[revision]
    if fresh:
        with suppress(DatabaseError), transaction.atomic():  # a revision is gone, or nothing can be written now
            keep(fresh)
    return found


def kept_card(revision: Revision, readme: Entry) -> Card | None:
    """Return the card of a revision with its text; None where that is not kept."""
    rows = RevisionFacts.objects.filter(pk=revision.pk, version=VERSION).values_list("facts", "text")
    row = rows.first() if readme.size <= MAX_TEXT else None
    return replace(_parsed(row[0]).card, body=row[1]) if row else None


def keep(facts: Mapping[Revision, Facts]) -> None:
    """Write the rows of revisions, in place of older ones."""
    rows = [_row(revision, one) for revision, one in facts.items()]
    insert_rows(rows, unique_fields=("revision",), update_fields=("version", "facts", "text"))


def _row(revision: Revision, facts: Facts) -> RevisionFacts:
    document = json.dumps(asdict(replace(facts, card=replace(facts.card, body=""))), separators=(",", ":"))
    text = facts.card.body.replace("\0", "")
    return RevisionFacts(revision=revision, version=VERSION, facts=document, text=text)


def forget(revisions: Iterable[int]) -> None:
    """Delete the rows of revisions (ids) whose files are removed."""
    RevisionFacts.objects.filter(pk__in=list(revisions)).delete()


def without_row() -> QuerySet[Revision]:
    """Return the revisions whose row is missing or of an older parser."""
    current = RevisionFacts.objects.filter(pk=OuterRef("pk"), version__gte=VERSION)
    return Revision.objects.filter(~Exists(current), expired_at=None).select_related("repository")


def _parsed(document: str) -> Facts:
    row = json.loads(document)
    described, training = row["description"], row["training"]
    tuples = {key: tuple(described[key]) for key in ("target_modules", "also")} if described else {}
    stated = tuple(Stated(**fact) for fact in training["facts"])
    losses = tuple((step, loss) for step, loss in training["losses"])
    objects = {
        "card": Card(**row["card"]),
        "description": Description(**described | tuples) if described else None,
        "usage": AdapterUsage.read(row["usage"]),
        "training": Training(stated, losses, training["losses_source"], tuple(training["words"])),
        "words": tuple(row["words"]),
    }
    return Facts(**row | objects)
