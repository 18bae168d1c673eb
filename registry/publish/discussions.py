"""Discussions and pull requests: find, open, comment, rename, close and reopen them; merging is in merges.py.

Everybody who sees a repository may open a discussion or a pull request and push to their own pull requests. All else
is up to those who may push to the repository, and to the author of the thread.
"""

from datetime import timedelta
from itertools import product

from django.db import transaction
from django.db.models import Count, F, Max, QuerySet, Sum
from django.db.models.functions import Length
from django.utils import timezone

from registry.kernel import names, outbox, policy
from registry.kernel.errors import (
    CommentNotFound,
    DiscussionClosed,
    DiscussionNotFound,
    NotAllowed,
    QuotaExceeded,
    RefProtected,
    TooOften,
    ValueInvalid,
)
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller, Permission
from registry.models import Discussion, DiscussionEvent, Ref, Repository, Revision, User
from registry.publish.mentions import mentions
from registry.repos import refs

MAX_TITLE, MAX_COMMENT = 500, 64 << 10
MAX_EVENTS, MAX_TEXT = 2_000, 4 << 20  # entries and characters of a thread, which is answered whole
MAX_OPEN = 200  # by one person in one adapter
MAX_A_DAY = 100  # by one person in an adapter of others, whatever became of them
PAGE = 50
Status, Kind = Discussion.Status, DiscussionEvent.Kind


# --- looking ---------------------------------------------------------------------------------------------------------
def find(repository: Repository, number: int) -> Discussion:
    """Return one discussion of an adapter that the caller was allowed to see. Raises DiscussionNotFound."""
    rows = repository.discussions.select_related("author", "merged_as", "merge_base")
    discussion = rows.filter(number=min(number, 1 << 31)).first()
    if discussion is None:
        raise DiscussionNotFound(f"There is no discussion #{number} of {repository.full_name}.")
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
            f"There are no discussions of type {kind[:40]!r} and status {status[:40]!r}.",
            fix="Use all, discussion or pull_request as type, and all, open or closed as status.",
        )
    rows = repository.discussions.filter(**kinds[kind]).select_related("author").order_by("-number")
    if (wanted := states[status]) is not None:
        rows = rows.filter(status__in=wanted)
    return rows.filter(author__namespace__name__lower=author.lower()) if author else rows


def open_count(repository: Repository) -> int:
    """Return how many discussions wait for somebody."""
    return repository.discussions.filter(status__in=[Status.OPEN, Status.DRAFT]).count()


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
def start(repository: Repository, title: str, text: str, by: Caller, *, pull_request: bool = False) -> Discussion:
    """Open a discussion, or a pull request at the head of main, as a draft. Raises what policy.require raises."""
    with transaction.atomic():
        repository = policy.require_now(by, Permission.DISCUSS, repository)
        if not pull_request:
            return _begin(repository, title, text, by)
        proposal = propose(repository, title, text, by, base=refs.MAIN, status=Status.DRAFT)
        assert proposal.merge_base is not None, "a pull request begins somewhere"
        Ref.objects.create(repository=repository, name=proposal.ref, revision=proposal.merge_base)
        return proposal


def propose(
    repository: Repository, title: str, text: str, by: Caller, *, base: str, status: str = Status.OPEN
) -> Discussion:
    """Open a pull request for a branch; its ref is the caller's to make.

    Call it while you hold the lock on the adapter. Raises RevisionNotFound where there is no such branch.
    """
    check_base(base)
    merge_base = refs.resolve_ref(repository, base)
    return _begin(repository, title, text, by, is_pull_request=True, base=base, merge_base=merge_base, status=status)


def _begin(repository: Repository, title: str, text: str, by: Caller, **more: object) -> Discussion:
    user = _person(by)
    title = check_title(title)
    text = names.check_text(text, "description", MAX_COMMENT)
    mine = repository.discussions.filter(author=user, status__in=[Status.OPEN, Status.DRAFT])
    if mine.count() >= MAX_OPEN:
        raise QuotaExceeded(f"You have {MAX_OPEN} open discussions on {repository.full_name}.", fix="Close some first.")
    today = repository.discussions.filter(author=user, created_at__gt=timezone.now() - timedelta(days=1))
    if not policy.may_write(by, repository) and today.count() >= MAX_A_DAY:
        raise TooOften(f"You opened {MAX_A_DAY} discussions on {repository.full_name} today.", fix="Go on tomorrow.")
    last = repository.discussions.aggregate(last=Max("number"))["last"] or 0
    discussion = Discussion.objects.create(repository=repository, number=last + 1, title=title, author=user, **more)
    _append(discussion, user, Kind.COMMENT, text=text)
    _record(Happened.DISCUSSION_OPENED, discussion, user, text)
    return discussion


def check_title(title: str) -> str:
    """Return the title without spaces around it. Raises ValueInvalid for none, a long one, or control characters."""
    title = " ".join(names.check_text(title, "title", MAX_TITLE).split())
    if not title:
        raise ValueInvalid("A discussion needs a title.", fix="Say in a few words what it is about.")
    return title


# --- speaking --------------------------------------------------------------------------------------------------------
def comment(discussion: Discussion, text: str, by: Caller) -> DiscussionEvent:
    """Say something; also in what is closed. Raises ValueInvalid, QuotaExceeded, and what policy.require raises."""
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        entry = _append(discussion, _person(by), Kind.COMMENT, text=_said(text))
        _record(Happened.COMMENT_ADDED, discussion, entry.author, text, comment=entry)
    return entry


def edit(discussion: Discussion, number: int, text: str, by: Caller) -> DiscussionEvent:
    """Change one's own comment. Raises CommentNotFound, NotAllowed for others' and hidden ones, and as `comment`."""
    text = _said(text)
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        entry = _comment(discussion, number)
        if entry.author_id != _person(by).pk or entry.hidden:
            raise NotAllowed(
                "A hidden comment stays as it is." if entry.hidden else "Only its author may edit a comment.",
                fix="Write a new comment.",
            )
        _require_place(discussion, len(text) - len(entry.text))
        entry.text, entry.edits, entry.edited_at = text, entry.edits + 1, timezone.now()
        entry.save(update_fields=["text", "edits", "edited_at"])
        _record(Happened.COMMENT_CHANGED, discussion, entry.author, comment=entry, is_news=False)
    return entry


def hide(discussion: Discussion, number: int, by: Caller) -> DiscussionEvent:
    """Hide a comment for good: its author, who may push to the adapter, and moderators. Raises as `edit` does."""
    with transaction.atomic():
        policy.require_now(by, Permission.DISCUSS, discussion.repository)
        entry, user = _comment(discussion, number), _person(by)
        if entry.author_id != user.pk and not policy.may_write(by, discussion.repository) and not by.is_staff:
            raise NotAllowed("Only its author, and who may push to the adapter, may hide a comment.")
        if not entry.hidden:
            entry.hidden, entry.hidden_by = True, user
            entry.save(update_fields=["hidden", "hidden_by"])
            _record(Happened.COMMENT_CHANGED, discussion, user, comment=entry, is_news=False)
    return entry


def _said(text: str) -> str:
    text = names.check_text(text, "comment", MAX_COMMENT)
    if not text:
        raise ValueInvalid("This comment is empty.", fix="Say something.")
    return text


def _comment(discussion: Discussion, number: int) -> DiscussionEvent:
    rows = discussion.events.select_for_update(of=("self",)).select_related("author")
    entry = rows.filter(pk=number, kind=Kind.COMMENT).first()
    if entry is None:
        raise CommentNotFound(f"There is no such comment in {discussion}.")
    return entry


# --- the thread itself -----------------------------------------------------------------------------------------------
def rename(discussion: Discussion, title: str, by: Caller) -> DiscussionEvent:
    """Give a discussion another title. Raises ValueInvalid, NotAllowed, and what policy.require raises."""
    title = check_title(title)
    with transaction.atomic():
        now, user = _mine(discussion, by)
        before, now.title = now.title, title
        now.save(update_fields=["title"])
        entry = _append(now, user, Kind.TITLE, data={"from": before, "to": title})
        _record(Happened.DISCUSSION_CHANGED, now, user, is_news=False)
    discussion.title = title
    return entry


def set_status(discussion: Discussion, status: str, by: Caller, text: str = "") -> DiscussionEvent:
    """Close or open a discussion, with a comment if there is one; a draft becomes open.

    Asking for what is so already is written down again. Raises ValueInvalid, DiscussionClosed for what is merged,
    NotAllowed, and what policy.require raises.
    """
    if status not in {Status.OPEN, Status.CLOSED}:
        raise ValueInvalid(f"A discussion cannot be {status[:40]!r}.", fix="Use open or closed.")
    with transaction.atomic():
        now, user = _mine(discussion, by)
        if now.status == Status.MERGED:
            raise DiscussionClosed(f"{now} is merged.")
        if text.strip():
            _append(now, user, Kind.COMMENT, text=_said(text))
        now.status = status
        now.save(update_fields=["status"])
        entry = _append(now, user, Kind.STATUS, data={"status": status})
        _record(Happened.DISCUSSION_CHANGED, now, user, text)
    discussion.status = status
    return entry


def _mine(discussion: Discussion, by: Caller) -> tuple[Discussion, User]:
    """Return the discussion as it is now, locked with its adapter, for who may change it."""
    repository = policy.require_now(by, Permission.DISCUSS, discussion.repository)
    now = find(repository, discussion.number)
    if not may_moderate(now, by):
        raise NotAllowed(f"Only its author, and who may push to {repository.full_name}, may change {now}.")
    return now, _person(by)


# --- pull requests ---------------------------------------------------------------------------------------------------
def check_base(ref: str) -> None:
    """Raise RefProtected unless pull requests can be for this ref."""
    if not ref.startswith(refs.BRANCHES):
        raise RefProtected(
            f"A pull request is for a branch, which {refs.short_name(ref)} is not.", fix="Name a branch."
        )


def permission_for(repository: Repository, ref: str, by: Caller) -> Permission:
    """Return what a caller needs for a push to a ref: their own pull requests need no right to push.

    Raises RevisionNotFound for refs/pr/N where N is no pull request, DiscussionClosed where it is merged.
    """
    if not ref.startswith(refs.PULL_REQUESTS):
        return Permission.PUSH
    number = ref.removeprefix(refs.PULL_REQUESTS)
    proposal = None
    if number.isdecimal() and len(number) < 10:
        proposal = repository.discussions.filter(number=int(number), is_pull_request=True).first()
    if proposal is None:
        raise refs.revision_not_found(ref)
    if proposal.status == Status.MERGED:
        raise DiscussionClosed(f"The pull request #{number} of {repository.full_name} is merged.")
    is_his = by.user is not None and by.user.pk == proposal.author_id
    return Permission.DISCUSS if is_his else Permission.PUSH


def note_commit(repository: Repository, ref: str, revision: Revision) -> None:
    """Write down in a pull request that its ref moved; call it in the transaction that moves it."""
    if ref.startswith(refs.PULL_REQUESTS):
        discussion = find(repository, int(ref.removeprefix(refs.PULL_REQUESTS)))
        facts = {"subject": revision.title, "oid": revision.oid}
        _append(discussion, revision.author, Kind.COMMIT, data=facts)
        is_first = not repository.refs.filter(name=ref).exists()  # its first commit is part of the proposal
        _record(Happened.DISCUSSION_CHANGED, discussion, revision.author, is_news=not is_first)


def note_merge(discussion: Discussion, merged: Revision, user: User, text: str) -> None:
    """Close a pull request as merged; call it in the transaction that moved the base, under the adapter's lock."""
    if text.strip():
        _append(discussion, user, Kind.COMMENT, text=_said(text))
    discussion.status, discussion.merged_as = Status.MERGED, merged
    discussion.save(update_fields=["status", "merged_as"])
    _append(discussion, user, Kind.STATUS, data={"status": Status.MERGED})
    _record(Happened.DISCUSSION_CHANGED, discussion, user, text)


# --- rows ------------------------------------------------------------------------------------------------------------
def _append(discussion: Discussion, user: User, kind: str, *, text: str = "", data: object = None) -> DiscussionEvent:
    # Who fills a thread must not keep others from closing or merging it.
    most = MAX_EVENTS if kind == Kind.COMMENT else 2 * MAX_EVENTS
    if discussion.events.count() >= most:
        raise QuotaExceeded(f"{discussion} has {most:,} entries already.", fix="Open a new discussion.")
    _require_place(discussion, len(text))
    if kind == Kind.COMMENT:
        Discussion.objects.filter(pk=discussion.pk).update(comments=F("comments") + 1)
    return DiscussionEvent.objects.create(discussion=discussion, author=user, kind=kind, text=text, data=data or {})


def _require_place(discussion: Discussion, more: int) -> None:
    held = discussion.events.aggregate(text=Sum(Length("text")))["text"] or 0
    if more > 0 and held + more > MAX_TEXT:
        raise QuotaExceeded(f"{discussion} holds as much text as one may.", fix="Open a new discussion.")


def _person(by: Caller) -> User:
    assert by.user is not None, "policy lets nobody speak without a name"
    return by.user


def _record(
    kind: Happened,
    discussion: Discussion,
    by: User,
    text: str = "",
    *,
    comment: DiscussionEvent | None = None,
    is_news: bool = True,
) -> None:
    """Record what happened in a thread. `is_news` says whether people are alerted, and `text` whom it mentions."""
    facts: dict[str, object] = {"discussion": _facts(discussion), "is_news": is_news, "mentions": mentions(text)}
    if comment is not None:
        facts["comment"] = {
            "id": comment.pk,
            "author": comment.author_id,
            "hidden": comment.hidden,
            "text": comment.text,
        }
    outbox.record(kind, discussion.repository, by, **facts)


def _facts(discussion: Discussion) -> dict[str, object]:
    return {
        "id": discussion.pk,
        "author": discussion.author_id,
        "number": discussion.number,
        "title": discussion.title,
        "is_pull_request": discussion.is_pull_request,
        "status": discussion.status,
        "base": discussion.base,
        "merged_as": discussion.merged_as.oid if discussion.merged_as else None,
    }
