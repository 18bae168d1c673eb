"""A pull request as its pages show it: its changes, whether it can be merged, its verdict and what that changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from features.discussions import pull_requests
from hub.site import lists
from hub.site.markdown_texts import html_of_texts
from hub.site.proof import document
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.versions import diff_view
from registry.kernel.callers import role_of_member
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import CREATORS
from registry.models import Discussion, DiscussionEvent, Membership, Namespace, Revision
from registry.proof.verdicts import requests
from registry.repos import pull

OPEN = (Discussion.Status.OPEN, Discussion.Status.DRAFT)


def proposal_context(header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return a pull request's changes, whether it can be merged, its verdict, and the difference from its branch's."""
    try:
        before, after = pull_requests.changes(discussion)
        conflicts = pull_requests.plan(discussion).conflicts if discussion.status in OPEN else []
        tip = pull.resolve(header.repository, discussion.ref)
        for revision in filter(None, (tip, discussion.merge_base)):  # what is taken away is named too
            pull.require_shown(revision, header.by)
    except RevisionNotFound:  # its branch was deleted, or its files are held back; the talk about it is still there
        return {"changes": [], "conflicts": [], "tip": None}
    verdict = requests.in_force(tip) if tip != discussion.merge_base else None
    shown: dict[str, object] = {
        "changes": diff_view.changes(before, after),
        "conflicts": conflicts,
        "tip": tip,
        "verdict": document(verdict) if verdict else None,
        "may_merge": header.may_write,
    }
    if verdict and discussion.status in OPEN and (target := _target(header, discussion)):
        beside = requests.in_force(target)
        shown |= {"target": target, "target_verdict": document(beside) if beside else None}
    return shown


def _target(header: RepositoryHeader, discussion: Discussion) -> Revision | None:
    """Return the newest revision of the branch that it is for; None where the visitor may not see that, or none is."""
    try:
        revision = pull.resolve(header.repository, discussion.base)
        pull.require_shown(revision, header.by)
    except RevisionNotFound:
        return None
    return revision


EVENTS = 30  # on a page; each comment in Markdown costs a process the first time


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One entry of a thread, with its text as safe HTML, who its author is here, and what the visitor may do to it."""

    event: DiscussionEvent
    html: SafeString
    role: str  # owner, member, author or ""
    may_edit: bool
    may_hide: bool

    @property
    def place(self) -> str:
        """The end of its id in a report, behind the id of its repository."""
        return f"#{self.event.discussion.number}:{self.event.pk}"


def thread_context(request: HttpRequest, header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return the newest entries of a discussion, or those before `before`, and the address of earlier ones."""
    newest_first, earlier = lists.older(request, discussion.events.select_related("author"), EVENTS)
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
