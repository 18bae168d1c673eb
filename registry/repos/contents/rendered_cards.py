"""Keeps the card of each repository as HTML, so that its page neither renders it nor reads it from the store."""

import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass

from django.db import IntegrityError

from registry.kernel.errors import StoreUnavailable
from registry.models import Ref, RenderedCard, Revision
from registry.repos import pull
from registry.repos.contents import card, stored_facts
from registry.repos.contents.facts import README, BlobFile
from registry.repos.manifest import Entry

logger = logging.getLogger(__name__)
RENDERER = 1  # one more whenever the same text gets other HTML: refresh() then renders all cards again
BATCH = 100  # cards that one refresh() renders, about a quarter of a second each


@dataclass(frozen=True, slots=True)
class CardPage:
    """A card for a page: its safe HTML, "" without one, and the reason if its metadata cannot be read."""

    html: str = ""
    problem: str = ""


def card_page(revision: Revision, entry: Entry | None, *, files: str, pages: str) -> CardPage:
    """Return the card of a revision, whose README is `entry`.

    The kept HTML is used if it is of that file. Cards of other revisions, and of a push that no worker has seen yet,
    are rendered now, with the limits of card.render_card, of the text that is kept with the revision's facts.
    """
    if entry is None:
        return CardPage()
    kept = RenderedCard.objects.filter(repository=revision.repository_id, file=entry.sha256, renderer=RENDERER).first()
    if kept is None:
        parsed = stored_facts.kept_card(revision, entry) or card.parse_card(_read(entry))
        html = card.render_card(parsed.body, files=files, pages=pages) if parsed.body.strip() else ""
        return CardPage(html, parsed.problem or "")
    files_below, pages_below = _places(kept.nonce)
    return CardPage(kept.html.replace(files_below, files).replace(pages_below, pages), kept.problem)


def keep(revision: Revision) -> None:
    """Render and keep the card if the revision is the newest of main.

    Raises StoreUnavailable if the file cannot be read.
    """
    if not _is_newest(revision):
        return
    entry = pull.entries(revision).get(README)
    parsed, nonce = card.parse_card(_read(entry)) if entry else card.Card(), secrets.token_urlsafe(16)
    files, pages = _places(nonce)
    html = ""
    if parsed.body.strip():  # else no process is needed
        html = card.render_once(parsed.body, files=files, pages=pages, seconds=card.PATIENT_SECONDS)
        html = html or card.unrendered(parsed.body)
    row = {
        "file": entry.sha256 if entry else "",
        "renderer": RENDERER,
        "nonce": nonce,
        "html": html,
        "problem": (parsed.problem or "")[:500],
    }
    if not _is_newest(revision):  # a push came meanwhile, and has a worker of its own
        return
    with suppress(IntegrityError):  # the repository is deleted meanwhile
        RenderedCard.objects.update_or_create(repository_id=revision.repository_id, defaults=row)


def _is_newest(revision: Revision) -> bool:
    return Ref.objects.filter(repository=revision.repository_id, name=Ref.MAIN, revision=revision).exists()


def refresh() -> int:
    """Render a few of the cards that an older renderer made; return their number."""
    heads = Ref.objects.filter(name=Ref.MAIN, repository__card__renderer__lt=RENDERER)
    rows = list(heads.select_related("revision")[:BATCH])
    for row in rows:
        try:
            keep(row.revision)
        except StoreUnavailable as problem:  # also of a file that is lost
            logger.warning("A card was not rendered again: %s", problem, extra={"repository": row.repository_id})
            RenderedCard.objects.filter(repository=row.repository_id).delete()
    return len(rows)


def _read(entry: Entry) -> str:
    """Return the beginning of a card as text, with invalid UTF-8 replaced."""
    return BlobFile(entry.sha256, entry.size).read(card.MAX_CARD_BYTES + 1).decode("utf-8", "replace")


def _places(nonce: str) -> tuple[str, str]:
    """Return the folders of pictures and of links in the kept HTML."""
    return f"/{nonce}/files/", f"/{nonce}/pages/"
