"""Pull requests: open one, push to it, close it as merged; merging itself is in merges.py.

Everybody who sees a repository may open a pull request and push to their own.
"""

from django.db import transaction

from registry.kernel import policy
from registry.kernel.errors import DiscussionClosed, RefProtected
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller, Permission
from registry.models import Discussion, DiscussionEvent, Ref, Repository, Revision, User
from registry.publish.threads import discussions, thread_entries
from registry.repos import refs

Status, Kind = Discussion.Status, DiscussionEvent.Kind


def start(repository: Repository, title: str, text: str, by: Caller) -> Discussion:
    """Open a pull request at the head of main, as a draft. Raises what policy.require raises."""
    with transaction.atomic():
        repository = policy.require_now(by, Permission.DISCUSS, repository)
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
    return thread_entries.begin(
        repository, title, text, by, is_pull_request=True, base=base, merge_base=merge_base, status=status
    )


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
        discussion = discussions.find(repository, int(ref.removeprefix(refs.PULL_REQUESTS)))
        facts = {"subject": revision.title, "oid": revision.oid}
        thread_entries.append(discussion, revision.author, Kind.COMMIT, data=facts)
        is_first = not repository.refs.filter(name=ref).exists()  # its first commit is part of the proposal
        thread_entries.record(Happened.DISCUSSION_CHANGED, discussion, revision.author, is_news=not is_first)


def note_merge(discussion: Discussion, merged: Revision, user: User, text: str) -> None:
    """Close a pull request as merged; call it in the transaction that moved the base, under the adapter's lock."""
    if text.strip():
        thread_entries.append(discussion, user, Kind.COMMENT, text=thread_entries.check_comment(text))
    discussion.status, discussion.merged_as = Status.MERGED, merged
    discussion.save(update_fields=["status", "merged_as"])
    thread_entries.append(discussion, user, Kind.STATUS, data={"status": Status.MERGED})
    thread_entries.record(Happened.DISCUSSION_CHANGED, discussion, user, text)
