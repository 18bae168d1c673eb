"""The entries of a discussion as its page shows them: text as safe HTML, author, and what the visitor may do."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from hub.site import paging
from hub.site.markdown_texts import html_of_texts
from hub.site.repository.repository_header import RepositoryHeader
from registry.kernel.callers import role_of_member
from registry.kernel.policy import CREATORS
from registry.models import Discussion, DiscussionEvent, Membership, Namespace

EVENTS = 30  # on a page; each comment in Markdown costs a process the first time


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
    roles = _roles(header, discussion, page)
    texts = html_of_texts(header, {event.pk: "" if event.hidden else event.text for event in newest_first})
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
