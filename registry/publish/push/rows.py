"""The rows of a push: the revision, its files, the moved ref, the queued verdict, and the columns that lists show."""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from registry.kernel import audit, policy, seams, stored_bytes
from registry.models import PublishingRun, Ref, Repository, Revision, RevisionFile, User, Verdict
from registry.proof import pickle_scans
from registry.proof.verdicts import requests
from registry.publish import open_pushes
from registry.publish.push.request import Draft, Intent
from registry.repos import downloads, manifest, refs
from registry.repos.contents import stored_facts
from registry.repos.contents.facts import Facts
from registry.repos.lists import listed_facts
from registry.repos.manifest import Entry
from registry.sql.prepared import Prepared, PreparedUpdate, insert_row, insert_rows


def land(intent: Intent, draft: Draft, *, was: Revision | None = None, like: Revision | None = None) -> Ref:
    """Write all rows in the caller's transaction, and notify a worker after the commit.

    `was` is the current revision of the ref if that is not the draft's parent.
    """
    was = was or draft.head
    if draft.is_noop and draft.head is not None:
        ref = _point(intent, draft.head, was)
        if was is not None and ref.revision != (None if intent.propose else was):
            open_pushes.announce(ref, None if intent.propose else was, intent.by.user)
        return ref
    author = intent.by.user
    assert author is not None, "policy lets nobody push without a person"
    at = timezone.now().replace(microsecond=0)  # commit ids hold whole seconds
    words = {"title": intent.title, "message": intent.message}
    run = PublishingRun.objects.filter(token=intent.by.token).first() if intent.by.is_publisher else None
    is_proposal = not policy.may_write(intent.by, intent.repository)
    revision, more = write(
        intent.repository,
        draft.entries,
        parent=draft.head,
        author=author,
        at=at,
        run=run,
        is_proposal=is_proposal,
        replaces=was if draft.head is None else None,
        **words,
    )
    stored_facts.keep({revision: draft.facts})
    ref = _point(intent, revision, was)  # before the verdict, which copies its state to the repository of main
    verdict = judged(revision, draft.facts, like)
    if ref.name == refs.MAIN:
        show(intent.repository, draft.entries, draft.facts, revision.created_at, verdict, more=more)
    else:
        stored_bytes.add(intent.repository, more)
    if was is not None:  # the first revision belongs to the creation, which is one event
        sent = open_pushes.Commit(ref, was, verdict, author, intent.title, draft.before, draft.entries, intent.propose)
        open_pushes.follow(sent)
    return ref


def judged(revision: Revision, facts: Facts, like: Revision | None = None) -> Verdict | None:
    """Queue a verdict for an adapter, or copy the one of a revision with the same files."""
    if facts.description is None:
        return None
    if like is not None and (adopted := requests.adopt(revision, like)) is not None:
        requests.refresh(revision.repository)
        return adopted
    family = listed_facts.clean(facts.description.format)[:32]
    stated = facts.bases[:1] if family in requests.NOT_RUN else []  # their files name no base; the card may
    base = listed_facts.clean(facts.description.base or next(iter(stated), ""))[:200]
    return requests.request(revision, base, family)


def write(
    repository: Repository,
    entries: Mapping[str, Entry],
    *,
    parent: Revision | None,
    author: User,
    at: datetime,
    run: PublishingRun | None = None,
    is_proposal: bool = False,
    replaces: Revision | None = None,
    oid: str = "",
    **words: str,
) -> tuple[Revision, int]:
    """Write a revision with these files, or return the existing one; `words` are title and message.

    The caller adds the number of bytes that it returns to those that the repository holds (stored_bytes.py).

    The same push to two branches within a second gives one revision, as in git. `run` is the CI job that publishes it,
    `is_proposal` says that its author may not write there, `replaces` is the head that a squash puts it in place of,
    `oid` the id of a copied commit, which cannot be computed again where its files expired.
    """
    above = parent.oid if parent else None
    oid = oid or manifest.revision_oid(entries, parent=above, author=author.username, at=at, **words)
    origin = {"author": author, "run": run, "pushed_with": audit.credential.get()}
    columns = {"parent": parent, "replaces": replaces, "created_at": at, **origin, **words}
    if (existing := _REVISION.first(repository.pk, oid)) is not None:
        return existing, 0
    revision = insert_row(Revision(repository=repository, oid=oid, **columns))
    sizes = {entry.sha256: entry.size for entry in entries.values()}
    more = stored_bytes.hold(repository, sizes, is_proposal=is_proposal)
    unsearched = downloads.still_unsearched(repository, entries.values())
    insert_rows(list(files_of(revision, entries.values(), unsearched)))
    if not all(map(manifest.is_default_gitattributes, entries.values())):
        pickle_scans.enqueue(revision.pk)
    return revision, more


_REVISION = Prepared(lambda repository, oid: Revision.objects.filter(repository=repository, oid=oid), int, str)


def files_of(revision: Revision, entries: Iterable[Entry], unsearched: Container[str] = ()) -> Iterator[RevisionFile]:
    """Yield the rows of a revision's files; `unsearched` are the paths that only writers may have for now."""
    for entry in entries:
        yield RevisionFile(
            revision=revision,
            path=entry.path,
            blob_id=entry.sha256,
            size=entry.size,
            is_lfs=entry.is_lfs,
            git_oid=entry.git_oid,
            is_unsearched=entry.path in unsearched,
        )


def _point(intent: Intent, revision: Revision, head: Revision | None) -> Ref:
    """Move the ref from `head` to the revision, or create it."""
    if intent.propose:
        threads = seams.threads()
        proposal = threads.propose(intent.repository, intent.title, intent.message, intent.by, intent.ref)
        if revision != head:
            threads.note_commit(intent.repository, proposal.ref, revision)
        return insert_row(Ref(repository=intent.repository, name=proposal.ref, revision=revision))
    if head is None:
        return insert_row(Ref(repository=intent.repository, name=intent.ref, revision=revision))
    ref = _LOCKED_REF.first(intent.repository.pk, intent.ref, head.pk)
    if ref is None:  # deleted in the meantime; a move is impossible under the lock
        raise refs.revision_not_found(refs.short_name(intent.ref))
    ref.repository = intent.repository
    if revision != head:
        ref.revision = revision
        _MOVE_REF(ref=ref.pk, revision=revision.pk, at=timezone.now())
        if ref.name.startswith(refs.PULL_REQUESTS):
            seams.threads().note_commit(intent.repository, ref.name, revision)
    return ref


_LOCKED_REF = Prepared(
    lambda repository, name, head: Ref.objects.filter(
        repository=repository, name=name, revision=head
    ).select_for_update(no_key=True),
    int,
    str,
    int,
)
_MOVE_REF = PreparedUpdate(
    lambda ref, revision, at: (Ref.objects.filter(pk=ref), {"revision": revision, "updated_at": at})
)


def show(
    repository: Repository,
    entries: Mapping[str, Entry],
    facts: Facts,
    at: datetime,
    verdict: Verdict | None,
    *,
    more: int = 0,
) -> None:
    """Copy the facts of main's revision to the repository's row, for lists and search, and add `more` stored bytes.

    Where a version is verified, lists go on with that one until main's passes (registry/proof/verified/verified.py).
    """
    state = verdict.state if verdict else ""
    columns: dict[str, object] = {**listed_facts.columns(entries, facts), "outcome": state}
    if verdict is None or (verdict.number == 1 and not verdict.is_final):
        columns["serves"] = ""
    words = listed_facts.with_words(repository.full_name, facts, columns)
    # Decided by the row: a version may have been verified since `repository` was read.
    if not _SHOW_UNVERIFIED(repository=repository.pk, more=more, updated_at=at, state=state, **words):
        row = Repository.objects.filter(pk=repository.pk)
        held = {"is_main_held": refs.main_is_held(), "stored_bytes": F("stored_bytes") + more}
        row.update(updated_at=at, state=state, **held)


_SHOW_UNVERIFIED = PreparedUpdate(
    lambda repository, more, **columns: (
        Repository.objects.filter(pk=repository, is_verified=False),
        listed_facts.searched(**columns)
        | {"is_main_held": refs.main_is_held(), "stored_bytes": F("stored_bytes") + more},
    )
)
