"""The rows of a thread, and their limits: its first entry, each later one, and the event that tells of them.

Call these in a transaction that holds the lock on the repository.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Count, F, Max, Sum
from django.db.models.functions import Length
from django.utils import timezone

from registry.kernel import outbox, policy
from registry.kernel.errors import QuotaExceeded, TooOften, ValueInvalid
from registry.kernel.outbox import Kind as Happened
from registry.kernel.texts import names
from registry.kernel.texts.mentions import mentions
from registry.models import Discussion, DiscussionEvent, Repository, User

MAX_TITLE, MAX_COMMENT = 500, 64 << 10
MAX_EVENTS, MAX_TEXT = 2_000, 4 << 20  # entries and characters of a thread, which is answered whole
MAX_OPEN = 200  # by one person in one repository
MAX_A_DAY = 100  # by one person in a repository of others, whatever became of them
Status, Kind = Discussion.Status, DiscussionEvent.Kind


def begin(repository: Repository, title: str, text: str, by: policy.Caller, **more: object) -> Discussion:
    """Make a thread and its first comment. Raises ValueInvalid, QuotaExceeded and TooOften."""
    user = person(by)
    title = check_title(title)
    text = names.check_text(text, "description", MAX_COMMENT)
    mine = repository.discussions.filter(author=user, status__in=[Status.OPEN, Status.DRAFT])
    if mine.count() >= MAX_OPEN:
        raise QuotaExceeded(
            f"You have {MAX_OPEN} open discussions on {repository.full_name}, the limit.", fix="Close some first."
        )
    today = repository.discussions.filter(author=user, created_at__gt=timezone.now() - timedelta(days=1))
    if not policy.may_write(by, repository) and today.count() >= MAX_A_DAY:
        raise TooOften(
            f"You opened {MAX_A_DAY} discussions on {repository.full_name} today, the limit.", fix="Try again tomorrow."
        )
    last = repository.discussions.aggregate(last=Max("number"))["last"] or 0
    discussion = Discussion.objects.create(repository=repository, number=last + 1, title=title, author=user, **more)
    append(discussion, user, Kind.COMMENT, text=text)
    record(Happened.DISCUSSION_OPENED, discussion, user, text)
    return discussion


def check_title(title: str) -> str:
    """Return the title without spaces around it. Raises ValueInvalid for none, a long one, or control characters."""
    title = " ".join(names.check_text(title, "title", MAX_TITLE).split())
    if not title:
        raise ValueInvalid("A discussion needs a title.", "Summarise it in a few words.", "title")
    return title


def check_comment(text: str) -> str:
    """Return the text of a comment. Raises ValueInvalid for none, a long one, or control characters."""
    text = names.check_text(text, "comment", MAX_COMMENT)
    if not text:
        raise ValueInvalid("The comment is empty.", fix="Write some text.")
    return text


def append(discussion: Discussion, user: User, kind: str, *, text: str = "", data: object = None) -> DiscussionEvent:
    """Add an entry to a thread. Raises QuotaExceeded for a thread that is full."""
    # A thread that somebody filled up can still be closed or merged.
    most = MAX_EVENTS if kind == Kind.COMMENT else 2 * MAX_EVENTS
    held = _held(discussion)
    if held["entries"] >= most:
        raise QuotaExceeded(f"{discussion} already has {most:,} entries, the limit.", fix="Open a new discussion.")
    _require_place(discussion, held["characters"], len(text))
    if kind == Kind.COMMENT:
        Discussion.objects.filter(pk=discussion.pk).update(comments=F("comments") + 1)
    return DiscussionEvent.objects.create(discussion=discussion, author=user, kind=kind, text=text, data=data or {})


def require_place(discussion: Discussion, more: int) -> None:
    """Raise QuotaExceeded unless the thread may hold so many more characters."""
    _require_place(discussion, _held(discussion)["characters"], more)


def _require_place(discussion: Discussion, characters: int, more: int) -> None:
    if more > 0 and characters + more > MAX_TEXT:
        raise QuotaExceeded(f"{discussion} has reached the size limit of a discussion.", fix="Open a new discussion.")


def _held(discussion: Discussion) -> dict[str, int]:
    """Return how many entries and characters a thread holds; one query."""
    return discussion.events.aggregate(entries=Count("pk"), characters=Sum(Length("text"), default=0))


def person(by: policy.Caller) -> User:
    """Return the person behind a caller whom policy allowed to discuss."""
    assert by.user is not None, "policy lets nobody speak without a name"
    return by.user


def record(
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


def hide(discussion: Discussion, entries: Iterable[DiscussionEvent], by: User) -> None:
    """Hide comments of one thread, which readers then see no text of; those that are hidden already stay so."""
    for entry in entries:
        if not entry.hidden:
            entry.hidden, entry.hidden_by = True, by
            entry.save(update_fields=["hidden", "hidden_by"])
            record(Happened.COMMENT_CHANGED, discussion, by, comment=entry, is_news=False)


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
