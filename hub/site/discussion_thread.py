"""The entries of a discussion as its page shows them: text as safe HTML, author, and what the visitor may do."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe

from hub.site import paging, references
from hub.site.repository_header import RepositoryHeader, card_links
from registry.kernel.callers import role_of_member
from registry.kernel.policy import CREATORS
from registry.models import Discussion, DiscussionEvent, Membership, Namespace
from registry.repos import card

EVENTS = 30  # on a page; each comment in Markdown costs a process the first time
PATIENCE_SECONDS = 4.0  # with all of them together
# Without any of these a text means itself in Markdown.
_MARKED = re.compile(r"[*_`#<>\[\]()!|~\\&]|^\s*(?:[-+=]|\d+[.)])|^ {4}|\t", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One entry of a thread, with its text as safe HTML, who its author is here, and what the visitor may do to it."""

    event: DiscussionEvent
    html: SafeString
    role: str  # owner, member, author or ""
    may_edit: bool
    may_hide: bool


def thread_context(request: HttpRequest, header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return the newest entries of a discussion, or those before `before`, and the address of earlier ones."""
    newest_first, earlier = paging.older(request, discussion.events.select_related("author"), EVENTS)
    page = newest_first[::-1]
    roles, texts = _roles(header, discussion, page), _texts(header, page)
    me = header.by.user.pk if header.by.user else None
    entries = [
        ThreadEntry(
            event,
            texts[event.pk],
            roles.get(event.author_id, ""),
            may_edit=event.author_id == me and not event.hidden,
            may_hide=me is not None and (event.author_id == me or header.may_write or header.by.is_staff),
        )
        for event in page
    ]
    authors = dict.fromkeys([discussion.author.username, *(event.author.username for event in page)])
    return {"said": entries, "earlier": earlier, "is_start": earlier is None, "taking_part": authors}


def _roles(header: RepositoryHeader, discussion: Discussion, page: Iterable[DiscussionEvent]) -> dict[int, str]:
    """Return who speaks for the repository, by person; readers of an organisation do not."""
    namespace, authors = header.repository.namespace, {event.author_id for event in page}
    roles = {discussion.author_id: "author"}
    if namespace.kind == Namespace.Kind.PERSON:
        return roles | {namespace.person.pk: "owner"}
    members = Membership.objects.filter(organization__namespace=namespace, user__in=authors)
    return roles | {
        member.user_id: "member"
        for member in members
        if role_of_member(member, header.repository.type, header.repository.name) in CREATORS
    }


def _texts(header: RepositoryHeader, page: Sequence[DiscussionEvent]) -> dict[int, SafeString]:
    """Return the texts of a page by event. They are rendered newest first until the time is up; the rest stay plain.

    The next visitor finds the rendered ones in the cache and goes on, so no page of hostile texts takes minutes.
    """
    links = references.addresses(header.by, header.repository, [event.text for event in page if not event.hidden])
    started = time.monotonic()
    texts: dict[int, SafeString] = {}
    for event in reversed(page):
        is_late = time.monotonic() - started > PATIENCE_SECONDS
        texts[event.pk] = _html(header, event, links, only_known=is_late)
    return texts


def _html(
    header: RepositoryHeader, event: DiscussionEvent, links: Mapping[str, str], *, only_known: bool
) -> SafeString:
    if event.hidden or not event.text:
        return SafeString("")
    text = event.text.lower()
    named = {written: address for written, address in links.items() if written.lower() in text}
    if not named and not _MARKED.search(event.text):
        return mark_safe(linebreaks(event.text, autoescape=True))  # noqa: S308  # escaped
    files, pages = card_links(header.repository, "main")
    html = card.render_card(event.text, files=files, pages=pages, references=named, only_known=only_known)
    return mark_safe(html)  # noqa: S308  # the card's allow-list
