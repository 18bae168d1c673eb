"""Threads, which are discussions and pull requests: find, comment, rename, close and reopen them; open a discussion.

Everybody who sees a repository may open a thread and comment. All else is up to those who may push to the repository,
and to the author of the thread. pull_requests.py has what only pull requests have.
"""

from itertools import product

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from features.discussions import thread_entries
from registry.kernel import errors, policy
from registry.kernel.errors import CommentNotFound, DiscussionNotFound, NotAllowed, ValueInvalid
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller, Permission
from registry.models import Discussion, DiscussionEvent, Repository, User

PAGE = 50
Status, Kind = Discussion.Status, DiscussionEvent.Kind


class DiscussionClosed(errors.Conflict):
    code = "discussion-closed"
    default_fix = "Open it first; what is merged stays as it is, so open a new one."


# --- looking ---------------------------------------------------------------------------------------------------------
def find(repository: Repository, number: int) -> Discussion:
    """Return one discussion of an adapter that the caller was allowed to see. Raises DiscussionNotFound."""
    rows = repository.discussions.select_related("author", "merged_as", "merge_base")
    discussion = rows.filter(number=min(number, 1 << 31)).first()
    if discussion is None:
        raise DiscussionNotFound(f"{repository.full_name} has no discussion #{number}.")
    discussion.repository = repository
    return discussion


def search(repository: Repository, *, kind: str = "all", status: str = "all", author: str = "") -> QuerySet[Discussion]:
    """Return discussions, newest first.

    `kind` is all, discussion or pull_request; `status` is all, open (with drafts) or closed (with what is merged).
    Raises ValueInvalid for other words.
    """
    kinds = {"all": {}, "discussion": {"is_pull_request": False}, "pull_request": {"is_pull_request": True}}
    states = {"all": None, "open": [Status.OPEN, Status.DRAFT], "closed": [Status.CLOSED, Status.MERGED]}
    if kind not in kinds or status not in states:
        raise ValueInvalid(
            f"Unknown discussion type {kind[:40]!r} or status {status[:40]!r}.",
            fix="Use all, discussion or pull_request as type, and all, open or closed as status.",
        )
    rows = repository.discussions.filter(**kinds[kind]).select_related("author").order_by("-number")
    if (wanted := states[status]) is not None:
        rows = rows.filter(status__in=wanted)
    return rows.filter(author__namespace__name__lower=author.lower()) if author else rows


def open_count(repository: Repository) -> int:
    """Return how many discussions wait for somebody."""
    return Discussion.objects.filter(repository=repository, status__in=[Status.OPEN, Status.DRAFT]).count()


def counts(repository: Repository, *, author: str = "") -> dict[tuple[str, str], int]:
    """Return how many discussions `search` would find for each (kind, status); one query."""
    rows = search(repository, author=author).order_by().values_list("is_pull_request", "status")
    totals = dict.fromkeys(product(("all", "discussion", "pull_request"), ("all", "open", "closed")), 0)
    for is_pull_request, status, count in rows.annotate(count=Count("pk")):
        kind = "pull_request" if is_pull_request else "discussion"
        state = "open" if status in {Status.OPEN, Status.DRAFT} else "closed"
        for key in product(("all", kind), ("all", state)):
            totals[key] += count
    return totals


def events(discussion: Discussion) -> list[DiscussionEvent]:
    """Return everything that happened in a discussion, oldest first; one query."""
    return list(discussion.events.select_related("author").order_by("pk"))


def may_moderate(discussion: Discussion, by: Caller) -> bool:
    """Return whether the caller may close, open and rename the thread: its author and those with write access may."""
    return by.user is not None and (by.user.pk == discussion.author_id or policy.may_write(by, discussion.repository))


# --- opening ---------------------------------------------------------------------------------------------------------
def start(repository: Repository, title: str, text: str, by: Caller) -> Discussion:
    """Open a discussion. Raises what policy.require raises."""
    with transaction.atomic():
        repository = policy.require_now(by, Permission.DISCUSS, repository)
        return thread_entries.begin(repository, title, text, by)


# --- speaking --------------------------------------------------------------------------------------------------------
def comment(discussion: Discussion, text: str, by: Caller) -> DiscussionEvent:
    """Say something; also in what is closed. Raises ValueInvalid, QuotaExceeded, and what policy.require raises."""
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        user, text = thread_entries.person(by), thread_entries.check_comment(text)
        entry = thread_entries.append(discussion, user, Kind.COMMENT, text=text)
        thread_entries.record(Happened.COMMENT_ADDED, discussion, entry.author, text, comment=entry)
    return entry


def edit(discussion: Discussion, number: int, text: str, by: Caller) -> DiscussionEvent:
    """Change one's own comment. Raises CommentNotFound, NotAllowed for others' and hidden ones, and as `comment`."""
    text = thread_entries.check_comment(text)
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        entry = _comment(discussion, number)
        if entry.author_id != thread_entries.person(by).pk or entry.hidden:
            raise NotAllowed(
                "A hidden comment cannot be edited." if entry.hidden else "Only its author can edit a comment.",
                fix="Write a new comment.",
            )
        thread_entries.require_place(discussion, len(text) - len(entry.text))
        entry.text, entry.edits, entry.edited_at = text, entry.edits + 1, timezone.now()
        entry.save(update_fields=["text", "edits", "edited_at"])
        thread_entries.record(Happened.COMMENT_CHANGED, discussion, entry.author, comment=entry, is_news=False)
    return entry


def hide(discussion: Discussion, number: int, by: Caller) -> DiscussionEvent:
    """Hide a comment for good: its author, who may push to the adapter, and moderators. Raises as `edit` does."""
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        entry, user = _comment(discussion, number), thread_entries.person(by)
        if entry.author_id != user.pk and not policy.may_write(by, discussion.repository) and not by.is_staff:
            raise NotAllowed("Only its author and people who may push to the adapter can hide a comment.")
        thread_entries.hide(discussion, [entry], user)
    return entry


def _comment(discussion: Discussion, number: int) -> DiscussionEvent:
    rows = discussion.events.select_for_update(of=("self",), no_key=True).select_related("author")
    entry = rows.filter(pk=number, kind=Kind.COMMENT).first()
    if entry is None:
        raise CommentNotFound(f"{discussion} has no such comment.")
    return entry


# --- the thread itself -----------------------------------------------------------------------------------------------
def rename(discussion: Discussion, title: str, by: Caller) -> DiscussionEvent:
    """Give a discussion another title. Raises ValueInvalid, NotAllowed, and what policy.require raises."""
    title = thread_entries.check_title(title)
    with transaction.atomic():
        now, user = _mine(discussion, by)
        before, now.title = now.title, title
        now.save(update_fields=["title"])
        entry = thread_entries.append(now, user, Kind.TITLE, data={"from": before, "to": title})
        thread_entries.record(Happened.DISCUSSION_CHANGED, now, user, is_news=False)
    discussion.title = title
    return entry


def set_status(discussion: Discussion, status: str, by: Caller, text: str = "") -> DiscussionEvent:
    """Close or open a discussion, with a comment if there is one; a draft becomes open.

    Asking for what is so already is written down again. Raises ValueInvalid, DiscussionClosed for what is merged,
    NotAllowed, and what policy.require raises.
    """
    if status not in {Status.OPEN, Status.CLOSED}:
        raise ValueInvalid(f"Unknown status {status[:40]!r}.", fix="Use open or closed.")
    with transaction.atomic():
        now, user = _mine(discussion, by)
        if now.status == Status.MERGED:
            raise DiscussionClosed(f"{now} is merged.")
        if text.strip():
            thread_entries.append(now, user, Kind.COMMENT, text=thread_entries.check_comment(text))
        now.status = status
        now.save(update_fields=["status"])
        entry = thread_entries.append(now, user, Kind.STATUS, data={"status": status})
        thread_entries.record(Happened.DISCUSSION_CHANGED, now, user, text)
    discussion.status = status
    return entry


def _mine(discussion: Discussion, by: Caller) -> tuple[Discussion, User]:
    """Return the discussion as it is now, locked with its adapter, for who may change it."""
    repository = policy.require_now(by, Permission.DISCUSS, discussion.repository)
    now = find(repository, discussion.number)
    if not may_moderate(now, by):
        raise NotAllowed(f"Only its author and people who may push to {repository.full_name} can change {now}.")
    return now, thread_entries.person(by)
