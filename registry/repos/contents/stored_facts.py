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
    if not entries:
        return read_facts(entries, revision.repository.type)
    row = RevisionFacts.objects.filter(pk=revision.pk).values_list("version", "facts").first()
    if row is not None and row[0] == VERSION:
        return _parsed(row[1])
    facts = read_facts(entries, revision.repository.type)
    if row is None or row[0] < VERSION:
        with suppress(DatabaseError), transaction.atomic():  # the revision is gone, or nothing can be written now
            keep(revision, facts)
    return facts


def available_facts(trees: Mapping[Revision, Mapping[str, Entry]]) -> dict[Revision, Facts]:
    """Return the facts of many revisions with these files, without those in files that the store has lost.

    Raises StoreUnavailable if a row is missing and the store does not answer.
    """
    ids = [revision.pk for revision, entries in trees.items() if entries]
    known = dict(RevisionFacts.objects.filter(pk__in=ids, version=VERSION).values_list("pk", "facts"))
    return {
        revision: _parsed(known[revision.pk]) if revision.pk in known else _available(revision, entries)
        for revision, entries in trees.items()
    }


def _available(revision: Revision, entries: Mapping[str, Entry]) -> Facts:
    try:
        return revision_facts(revision, entries)
    except StoreUnavailable:
        return read_available_facts(entries, revision.repository.type)


def kept_card(revision: Revision, readme: Entry) -> Card | None:
    """Return the card of a revision with its text; None where that is not kept."""
    rows = RevisionFacts.objects.filter(pk=revision.pk, version=VERSION).values_list("facts", "text")
    row = rows.first() if readme.size <= MAX_TEXT else None
    return replace(_parsed(row[0]).card, body=row[1]) if row else None


def keep(revision: Revision, facts: Facts) -> None:
    """Write the row of a revision, in place of an older one."""
    document = json.dumps(asdict(replace(facts, card=replace(facts.card, body=""))), separators=(",", ":"))
    text = facts.card.body.replace("\0", "")
    row = RevisionFacts(revision=revision, version=VERSION, facts=document, text=text)
    insert_rows([row], unique_fields=("revision",), update_fields=("version", "facts", "text"))


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
