"""One thread as its page shows it: what was said, by whom, as safe HTML; and what its forms do."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe

from hub.site import paging
from hub.site.head import Head, card_links
from registry.models import Discussion, DiscussionEvent, Membership, Namespace
from registry.publish.mentions import mentions
from registry.repos import card

EVENTS = 30  # on a page; each comment in Markdown costs a process the first time
PATIENCE_SECONDS = 4.0  # with all of them together
# Without any of these a text means itself in Markdown.
_MARKED = re.compile(r"[*_`#<>\[\]()!|~\\&]|^\s*(?:[-+=]|\d+[.)])|^ {4}|\t", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of a thread, with its text as safe HTML, who its author is here, and what the visitor may do to it."""

    event: DiscussionEvent
    html: SafeString
    role: str  # owner, member, author or ""
    may_edit: bool
    may_hide: bool


def shown(request: HttpRequest, head: Head, discussion: Discussion) -> dict[str, object]:
    """The last entries of a thread, or with `before` those before one, and how to come to earlier ones."""
    found, earlier = paging.older(request, discussion.events.select_related("author"), EVENTS)
    page = found[::-1]
    roles, texts = _roles(head, discussion, page), _texts(head, page)
    me = head.by.user.pk if head.by.user else None
    said = [
        Said(
            event,
            texts[event.pk],
            roles.get(event.author_id, ""),
            may_edit=event.author_id == me and not event.hidden,
            may_hide=me is not None and (event.author_id == me or head.may_write or head.by.is_staff),
        )
        for event in page
    ]
    authors = dict.fromkeys([discussion.author.username, *(event.author.username for event in page)])
    return {"said": said, "earlier": earlier, "is_start": earlier is None, "taking_part": authors}


def _roles(head: Head, discussion: Discussion, page: Iterable[DiscussionEvent]) -> dict[int, str]:
    """Who speaks for the adapter, by person; readers of an organisation do not."""
    namespace, authors = head.repository.namespace, {event.author_id for event in page}
    roles = {discussion.author_id: "author"}
    if namespace.kind == Namespace.Kind.PERSON:
        return roles | {namespace.person.pk: "owner"}
    members = Membership.objects.filter(organization__namespace=namespace, user__in=authors)
    return roles | dict.fromkeys(members.exclude(role=Membership.Role.READ).values_list("user", flat=True), "member")


def _people(page: Iterable[DiscussionEvent]) -> dict[str, str]:
    """Names in lower case → as they are spelt, of everybody who is mentioned on this page; one query."""
    named = {name for event in page if not event.hidden for name in mentions(event.text)}
    if not named:
        return {}
    rows = Namespace.objects.filter(name__lower__in=named, person__is_active=True)
    return {name.lower(): name for name in rows.values_list("name", flat=True)}


def _texts(head: Head, page: Sequence[DiscussionEvent]) -> dict[int, SafeString]:
    """Return the texts of a page by event, newest first: once they took too long, the rest stands as it was written.

    Whoever comes next finds these in the cache and goes on: no page of hostile texts costs anybody minutes.
    """
    people, begun = _people(page), time.monotonic()
    texts: dict[int, SafeString] = {}
    for event in reversed(page):
        is_late = time.monotonic() - begun > PATIENCE_SECONDS
        texts[event.pk] = _html(head, event, people, only_known=is_late)
    return texts


def _html(head: Head, event: DiscussionEvent, people: Mapping[str, str], *, only_known: bool) -> SafeString:
    if event.hidden or not event.text:
        return SafeString("")
    mentioned = [people[name] for name in mentions(event.text) if name in people]
    if not mentioned and not _MARKED.search(event.text):
        return mark_safe(linebreaks(event.text, autoescape=True))  # noqa: S308  # escaped
    files, pages = card_links(head.repository, "main")
    html = card.render_card(event.text, files=files, pages=pages, people=mentioned, only_known=only_known)
    return mark_safe(html)  # noqa: S308  # the card's allow-list
