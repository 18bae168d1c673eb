"""How a push becomes a revision, in named steps: bytes, rows, nudge, never in another order.

A push that dies leaves bytes without rows (swept later) or a queued verdict (rung again later), and never a revision
whose file is missing. What travels before the push is in uploads.py; how bytes are proven is in intake.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db import transaction

from registry.bytes import chunking_jobs, intake
from registry.kernel import policy, quotas
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision
from registry.proof import verdicts
from registry.publish import pull_requests, uploads
from registry.publish.push import content, rows, tree
from registry.publish.push.intent import MAX_TITLE, Copy, Deletion, Inline, Intent, Operation, Stored, check_words
from registry.publish.push.tree import Draft
from registry.repos import facts, pull, refs
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

__all__ = [
    "MAIN",
    "MAX_TITLE",
    "Copy",
    "Deletion",
    "Inline",
    "Intent",
    "Operation",
    "Stored",
    "begin",
    "prepare",
    "put",
    "receive",
    "require_for",
    "rewrite",
    "settle",
]


def receive(intent: Intent, operations: Iterable[Operation]) -> Ref:
    """Apply the operations, in order, to what the ref points at; return the ref, moved to the new revision.

    Files equal to those that are there make no revision: retries are free. Raises what policy.require raises,
    RevisionNotFound, RefProtected, ParentStale, PathInvalid, FileNotFound (deleting or copying what is not there),
    RevisionNotVerified (copying what the caller may not download), FileTooLarge, PushTooLarge, BlobUnknown,
    ValueInvalid; nothing but unreferenced bytes is left behind then.
    """
    repository = intent.repository
    require_for(repository, intent.ref, intent.by, propose=intent.propose)
    check_words(intent)
    refs.resolve_ref(repository, intent.ref)  # an unknown branch is refused before any byte is kept
    if not intent.propose:
        refs.check_pushable(intent.ref)
    edits = content.believe(repository, content.keep(intent, operations), intent.by)
    draft = tree.compose(intent, edits)
    with transaction.atomic():
        current = policy.require_now(intent.by, Permission.BROWSE, repository)  # locks: one push at a time for each
        require_for(current, intent.ref, intent.by, propose=intent.propose)
        if refs.resolve_ref(repository, intent.ref) != draft.head:
            draft = tree.compose(intent, edits)  # somebody was faster; under the lock nobody is faster twice
        is_guest = not policy.may_write(intent.by, current)
        quotas.require_byte_quota_for(repository, _sizes(draft.entries), is_guest=is_guest)
        chunking_jobs.enqueue(edit.sha256 for edit in edits if isinstance(edit, Entry) and edit.is_lfs)
        return rows.land(intent, draft)


def put(intent: Intent, entries: dict[str, Entry], *, onto: Revision | None, like: Revision | None = None) -> Ref:
    """Write a revision with these files after `onto` (None: a first one), and move the ref to it.

    `like` is a revision with the same files, whose verdict holds for this one too. Call it in the transaction in which
    you asked for permission, under the adapter's lock; ask for the facts of the files before, which are remembered, so
    that nobody waits for the store meanwhile. Raises RevisionNotFound, PathInvalid and PushTooLarge.
    """
    check_words(intent)
    tree.check(entries)
    quotas.require_byte_quota_for(intent.repository, _sizes(entries))
    was = refs.resolve_ref(intent.repository, intent.ref)
    described = facts.read_facts(entries, intent.repository.type)
    return rows.land(intent, Draft(onto, entries, False, described), was=was, like=like)


def rewrite(
    old: Revision, parent: Revision | None, *, without: Collection[str] = (), into: Repository | None = None
) -> Revision:
    """Write a commit anew, with its words, author and time, after another parent, into an adapter.

    Its large files `without` (sha256) are left out. What was proven of the same files holds for it; else it waits for a
    verdict as the old one had or waits for: a commit that nobody judged is served as one with no adapter in it.
    """
    before = pull.entries(old)
    entries = {path: entry for path, entry in before.items() if not (entry.is_lfs and entry.sha256 in without)}
    words = {"title": old.title, "message": old.message}
    revision = rows.write(into or old.repository, entries, parent=parent, author=old.author, at=old.created_at, **words)
    if revision == old:
        return revision
    if entries == before:
        verdicts.adopt(revision, old)
    if verdicts.latest(old) is not None and verdicts.latest(revision) is None:
        rows.judged(revision, facts.read_facts(entries, revision.repository.type))
    return revision


def settle(repository: Repository) -> None:
    """Bring verdicts and list columns in line with refs that were moved directly; call it under the adapter's lock."""
    for ref in repository.refs.select_related("revision__repository"):
        entries = pull.entries(ref.revision)
        described = facts.read_facts(entries, repository.type)
        verdict = verdicts.latest(ref.revision) or rows.judged(ref.revision, described)
        if ref.name == MAIN:
            rows.show(repository, entries, described, ref.revision.created_at, verdict)
    verdicts.refresh(repository)


def require_for(repository: Repository, ref: str, by: Caller, *, propose: bool = False) -> None:
    """Raise unless the caller may push to this ref, or propose something for it.

    Everybody who sees a repository may propose, and push to their own proposals. Raises what policy.require raises,
    RevisionNotFound for what is not there or held back, DiscussionClosed for a pull request that is merged,
    RefProtected.
    """
    policy.require(by, Permission.BROWSE, repository)  # before anything is said about its refs
    if propose:
        pull_requests.check_base(ref)
    policy.require(by, Permission.DISCUSS if propose else pull_requests.permission_for(repository, ref, by), repository)
    if not policy.may_write(by, repository):  # else a proposal on top of a quarantined revision would hold its files
        pull.require_shown(refs.resolve_ref(repository, ref), by)


def prepare(files: Sequence[Inline], type: str) -> list[Inline]:
    """Return the files that a new adapter begins with: these, and the .gitattributes that the Hub's clients expect.

    They are in the store then, and what they say is known: in the transaction of `begin` nobody waits for that.
    """
    first = [Inline(".gitattributes", uploads.GITATTRIBUTES), *files]
    entries = {file.path: content.entry(file.path, file.content) for file in first}
    for file in first:
        intake.store_verified(entries[file.path].sha256, [file.content])
    facts.read_facts(entries, type)
    return first


def begin(repository: Repository, by: Caller, files: Sequence[Inline]) -> Ref:
    """Give a new adapter its first revision, of prepared files; call it in the transaction that makes the adapter."""
    intent = Intent(repository, MAIN, by, title="initial commit")
    edits = content.keep(intent, files)
    entries = {edit.path: edit for edit in edits if isinstance(edit, Entry)}
    return rows.land(intent, Draft(None, entries, False, facts.read_facts(entries, repository.type)))


def _sizes(entries: Mapping[str, Entry]) -> dict[str, int]:
    return {entry.sha256: entry.size for entry in entries.values()}
