"""Makes a revision of a push, in named steps: bytes, rows, nudge, never in another order.

An interrupted push leaves bytes without rows (swept later) or a queued verdict (announced again later), and never a
revision with a missing file. Uploads before the push are in uploads.py; bytes/intake.py verifies the bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from django.db import IntegrityError, transaction

from registry.bytes import blocked_files, intake, tensor_digests
from registry.kernel import policy, quotas, seams, site_settings, stored_bytes
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision
from registry.people.tokens import tokens
from registry.proof.verdicts import requests
from registry.proof.verified import regressions, withdrawals
from registry.publish.push import content, request, rows
from registry.publish.push.request import (
    MAX_TITLE,
    Copy,
    Deletion,
    Draft,
    Edit,
    Inline,
    Intent,
    Operation,
    Stored,
    check_words,
)
from registry.repos import manifest, pull, refs
from registry.repos.contents import facts, stored_facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

MAX_SCANNED = 1 << 20  # bytes of a file in which leaked tokens are looked for

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
    """Apply the operations in order to the revision of the ref; return the ref, moved to the new revision.

    A push without changes creates no revision, so retries are free. Raises what policy.require raises,
    RevisionNotFound, RefProtected, ParentStale, PathInvalid, FileNotFound (deleting or copying what is not there),
    RevisionNotVerified (copying what the caller may not download), FileTooLarge, PushTooLarge, BlobUnknown,
    ValueInvalid, StoreUnavailable; then only unreferenced bytes are left behind.
    """
    repository = intent.repository
    require_for(repository, intent.ref, intent.by, propose=intent.propose)
    check_words(intent)
    refs.resolve_ref(repository, intent.ref)  # an unknown branch is refused before bytes are stored
    if not intent.propose:
        refs.check_pushable(intent.ref)
    leaked: dict[str, set[str]] = {}
    edits = content.believe(repository, content.keep(intent, _noting(operations, leaked)), intent.by)
    draft = request.compose(intent, edits)
    try:
        with transaction.atomic():
            return _land(intent, draft, edits, leaked)
    except IntegrityError:
        content.require_kept(edits)
        raise


def _land(intent: Intent, draft: Draft, edits: list[Edit], leaked: dict[str, set[str]]) -> Ref:
    """Write the rows in the caller's transaction, on top of what the ref names by then."""
    # It locks: one push at a time for each repository, which may have changed since its bytes came.
    current = policy.require_now(intent.by, Permission.BROWSE, intent.repository)
    intent = replace(intent, repository=current)
    require_for(current, intent.ref, intent.by, propose=intent.propose)
    if refs.resolve_ref(current, intent.ref) != draft.head:
        draft = request.compose(intent, edits)  # another push was faster; under the lock this cannot happen again
    is_guest = not policy.may_write(intent.by, current)
    quotas.require_byte_quota_for(current, _sizes(draft.entries), is_guest=is_guest)
    files = {edit.path: edit.sha256 for edit in edits if isinstance(edit, Entry)}
    blocked_files.require_unblocked(files)
    tensor_digests.enqueue(files, intent.by.user.pk if intent.by.user else 0)
    seams.large_files(edit.sha256 for edit in edits if isinstance(edit, Entry) and edit.is_lfs)
    ref = rows.land(intent, draft)
    tokens.revoke_in(leaked, current, ref.revision)
    return ref


def put(intent: Intent, entries: dict[str, Entry], *, onto: Revision | None, like: Revision | None = None) -> Ref:
    """Write a revision with these files after `onto` (None: a first one), and move the ref to it.

    `like` is a revision with the same files, whose verdict is copied. Call it in the transaction that checked the
    permission, under the repository's lock. Without `like` read the facts of the files before that: they are cached
    then, and the store is not read under the lock. Raises RevisionNotFound, PathInvalid and PushTooLarge.
    """
    check_words(intent)
    request.check(entries)
    quotas.require_byte_quota_for(intent.repository, _sizes(entries))
    was = refs.resolve_ref(intent.repository, intent.ref)
    type = intent.repository.type
    described = stored_facts.revision_facts(like, entries) if like else facts.read_facts(entries, type)
    return rows.land(intent, Draft(onto, entries, False, described), was=was, like=like)


def rewrite(
    old: Revision, parent: Revision | None, *, without: Collection[str] = (), into: Repository | None = None
) -> Revision:
    """Copy a commit with its message, author and time onto another parent, in this repository or in `into`.

    A copy into another repository keeps the commit's id. Large files in `without` (sha256) are left out. With the same
    files the verdict is copied, else a new one is queued if the old commit had one: a commit without any verdict is
    served like one that holds no adapter.
    """
    before = {} if old.is_expired else pull.entries(old)
    entries = {path: entry for path, entry in before.items() if not (entry.is_lfs and entry.sha256 in without)}
    run = None if into else old.run  # a copy elsewhere was published by nobody's job
    is_proposal = into is None  # the files are there already, and stay proposals if they are
    revision, more = rows.write(
        into or old.repository,
        entries,
        parent=parent,
        author=old.author,
        at=old.created_at,
        run=run,
        is_proposal=is_proposal,
        oid=old.oid if into else "",
        title=old.title,
        message=old.message,
    )
    stored_bytes.add(into or old.repository, more)
    if revision == old:
        return revision
    if old.is_part:
        Revision.objects.filter(pk=revision.pk).update(is_part=True, files_missing=old.files_missing)
    if old.is_expired or old.is_kept:  # files in the bin are not taken along: they were another commit's
        Revision.objects.filter(pk=revision.pk).update(expired_at=old.expired_at, is_kept=old.is_kept)
    withdrawals.carry(old, revision)
    if entries == before:
        requests.adopt(revision, old)
        regressions.carry(old, revision)
    if requests.latest(old) is not None and requests.latest(revision) is None:
        rows.judged(revision, stored_facts.revision_facts(revision, entries))
    return revision


def settle(repository: Repository) -> None:
    """Update verdicts and list columns after refs were moved directly; call it under the repository's lock."""
    for ref in repository.refs.select_related("revision__repository"):
        entries = pull.entries(ref.revision)
        described = stored_facts.revision_facts(ref.revision, entries)
        verdict = requests.latest(ref.revision) or rows.judged(ref.revision, described)
        if ref.name == MAIN:
            rows.show(repository, entries, described, ref.revision.created_at, verdict)
    requests.refresh(repository)


def require_for(repository: Repository, ref: str, by: Caller, *, propose: bool = False) -> None:
    """Raise unless the caller may push to this ref, or with `propose` open a pull request for it.

    Everybody who sees a repository may open pull requests and push to their own. Raises what policy.require raises,
    RevisionNotFound for a ref that is missing or held back, DiscussionClosed for a merged pull request, RefProtected.
    """
    policy.require(by, Permission.BROWSE, repository)  # before an error reveals its refs
    site_settings.require_uploads()
    permission = Permission.PUSH
    if propose or ref.startswith(refs.PULL_REQUESTS):
        if not seams.has_threads():
            policy.require(by, permission, repository)  # before they learn that nobody can propose here
        permission = seams.threads().permission_for(repository, ref, by, propose)
    policy.require(by, permission, repository)
    if not policy.may_write(by, repository):  # else a proposal on top of a quarantined revision would hold its files
        pull.require_shown(refs.resolve_ref(repository, ref), by)


def prepare(files: Sequence[Inline], type: str) -> list[Inline]:
    """Return the first files of a new repository: these, and the .gitattributes that the Hub's clients expect.

    They are stored and their facts are cached, so that the transaction of `begin` does not read the store.
    """
    first = [Inline(".gitattributes", manifest.GITATTRIBUTES), *files]
    entries = {file.path: content.entry(file.path, file.content) for file in first}
    for file in first:
        intake.store_verified(entries[file.path].sha256, [file.content])
    facts.read_facts(entries, type)
    return first


def begin(repository: Repository, by: Caller, files: Sequence[Inline]) -> Ref:
    """Write the first revision from prepared files; call it in the transaction that creates the repository."""
    intent = Intent(repository, MAIN, by, title=manifest.BEGINNING)
    edits = content.keep(intent, files)
    entries = {edit.path: edit for edit in edits if isinstance(edit, Entry)}
    return rows.land(intent, Draft(None, entries, False, facts.read_facts(entries, repository.type)))


def _noting(operations: Iterable[Operation], leaked: dict[str, set[str]]) -> Iterator[Operation]:
    """Yield the operations, and note for each file that came with the push what looks like a token in it."""
    for operation in operations:
        if isinstance(operation, Inline) and (values := tokens.candidates(operation.content[:MAX_SCANNED])):
            leaked[operation.path] = values
        yield operation


def _sizes(entries: Mapping[str, Entry]) -> dict[str, int]:
    return {entry.sha256: entry.size for entry in entries.values()}
