"""Keeps the findings of the search for secrets in every revision's files for pages, and opens a case for them."""

from collections.abc import Collection, Sequence

from django.db import transaction

from registry.models import Case, Revision, SecretSearch, Verdict
from registry.moderation import targets
from registry.moderation.cases import intake
from registry.moderation.cases.evidence import Evidence
from registry.moderation.cases.findings import SECRET

MAX_PLACES = 50
Place = tuple[str, int, str]  # file, line and kind


def keep(revision: Revision, searched: str, places: Sequence[Place], *, new: Collection[str]) -> None:
    """Keep what a search of the files that are `new` in a revision found, and what is still there of its parent.

    A verdict opens the case of an adapter; here one is opened for everything else.
    """
    with transaction.atomic():
        before = SecretSearch.objects.filter(revision=revision.parent_id).first()
        paths = set(revision.files.values_list("path", flat=True))
        old = [place for place in (before.places if before else ()) if place[0] in paths - set(new)]
        row = {"searched": searched, "places": [*places, *old][:MAX_PLACES]}
        SecretSearch.objects.update_or_create(revision=revision, defaults=row)
        # Tokens of this hub are revoked, by an event that opens a case of its own.
        foreign = [place for place in places if not place[2].startswith("a Dovetail token")]
        if foreign and not Verdict.objects.filter(revision=revision).exists():
            file, line, kind = foreign[0]
            text = f"{file} holds {kind}, line {line}. Revoke it at once: everyone who can read the repository has it."
            target = targets.of_revision(revision)
            intake.observe(target, SECRET, Case.Reason.SECRET, text, [Evidence(commit=revision.oid, file=file)])
