"""The rows of a push: the revision, its files, the moved ref, the queued verdict, and the columns that lists show."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Case, When
from django.utils import timezone

from registry.kernel import audit, policy, stored_bytes
from registry.kernel.prepared import Prepared
from registry.kernel.prepared_writes import PreparedUpdate, Update, as_value, insert_row, insert_rows
from registry.models import PublishingRun, Ref, Repository, Revision, RevisionFile, User, Verdict
from registry.proof import pickle_scans, verdicts
from registry.proof.verified import unless_verified
from registry.publish import open_pushes, planning, pull_requests
from registry.publish.open_pushes import Commit
from registry.publish.push.intent import Intent
from registry.publish.push.tree import Draft
from registry.repos import bases, manifest, refs
from registry.repos.facts import Facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN
from registry.repos.search_terms import search_text

MAX_TAGS, MAX_TAG = 200, 200
MAX_TARGETS = MAX_TRIGGERS = 500  # characters of the column


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
    revision = write(
        intent.repository, draft.entries, parent=draft.head, author=author, at=at, run=run,
        is_proposal=is_proposal, replaces=was if draft.head is None else None, **words,
    )  # fmt: skip
    ref = _point(intent, revision, was)  # before the verdict, which copies its state to the repository of main
    verdict = judged(revision, draft.facts, like)
    if ref.name == MAIN:
        show(intent.repository, draft.entries, draft.facts, revision.created_at, verdict)
    if was is not None:  # the first revision belongs to the creation, which is one event
        sent = Commit(ref, was, verdict, author, intent.title, draft.before, draft.entries, intent.propose)
        open_pushes.follow(sent)
    return ref


def judged(revision: Revision, facts: Facts, like: Revision | None = None) -> Verdict | None:
    """Queue a verdict for an adapter, or copy the one of a revision with the same files."""
    if facts.description is None:
        return None
    if like is not None and (adopted := verdicts.adopt(revision, like)) is not None:
        verdicts.refresh(revision.repository)
        return adopted
    family = _clean(facts.description.format)[:32]
    stated = facts.bases[:1] if family in verdicts.NOT_RUN else []  # their files name no base; the card may
    base = _clean(facts.description.base or next(iter(stated), ""))[:200]
    return verdicts.request(revision, base, family)


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
) -> Revision:
    """Write a revision with these files, or return the existing one; `words` are title and message.

    The same push to two branches within a second gives one revision, as in git. `run` is the CI job that publishes it,
    `is_proposal` says that its author may not write there, `replaces` is the head that a squash puts it in place of,
    `oid` the id of a copied commit, which cannot be computed again where its files expired.
    """
    above = parent.oid if parent else None
    oid = oid or manifest.revision_oid(entries, parent=above, author=author.username, at=at, **words)
    origin = {"author": author, "run": run, "pushed_with": audit.credential.get()}
    columns = {"parent": parent, "replaces": replaces, "created_at": at, **origin, **words}
    if (existing := _REVISION.first(repository.pk, oid)) is not None:
        return existing
    revision = insert_row(Revision(repository=repository, oid=oid, **columns))
    sizes = {entry.sha256: entry.size for entry in entries.values()}
    stored_bytes.hold(repository, sizes, is_proposal=is_proposal)
    insert_rows(list(files_of(revision, entries.values())))
    if not all(map(planning.is_default_gitattributes, entries.values())):
        pickle_scans.enqueue(revision.pk)
    return revision


_REVISION = Prepared(lambda repository, oid: Revision.objects.filter(repository=repository, oid=oid), int, str)


def files_of(revision: Revision, entries: Iterable[Entry]) -> Iterator[RevisionFile]:
    """Yield the rows of a revision's files."""
    for entry in entries:
        yield RevisionFile(
            revision=revision,
            path=entry.path,
            blob_id=entry.sha256,
            size=entry.size,
            is_lfs=entry.is_lfs,
            git_oid=entry.git_oid,
        )


def _point(intent: Intent, revision: Revision, head: Revision | None) -> Ref:
    """Move the ref from `head` to the revision, or create it."""
    if intent.propose:
        proposal = pull_requests.propose(intent.repository, intent.title, intent.message, intent.by, base=intent.ref)
        if revision != head:
            pull_requests.note_commit(intent.repository, proposal.ref, revision)
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
        pull_requests.note_commit(intent.repository, ref.name, revision)
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


def described(facts: Facts) -> dict[str, Any]:
    """Return the facts of a revision as columns of the catalogue: kind, rank, base, task and so on."""
    description = facts.description
    candidates = [description.base] if description and description.base in facts.bases else facts.bases
    rank = description.rank if description else None
    return {
        "summary": _clean(facts.summary)[:300],
        "format": _clean(description.format)[:32] if description else "",
        "kind": _clean(description.kind or "")[:32] if description else "",
        "base": bases.canonical_name(candidates[0]) if candidates else "",
        "base_revision": _clean(description.base_revision or "")[:64] if description else "",
        "targets": _lines(description.target_modules) if description else "",
        "task": _clean(facts.task)[:64],
        "license": _clean(facts.card.license)[:64],
        "rank": rank if rank is not None and 0 <= rank < 1 << 31 else None,
    }


def show(
    repository: Repository, entries: Mapping[str, Entry], facts: Facts, at: datetime, verdict: Verdict | None
) -> None:
    """Copy the facts of main's revision to the repository's row, for lists and search."""
    state = verdict.state if verdict else ""
    tags = [_clean(tag)[:MAX_TAG] for tag in facts.tags[:MAX_TAGS]]
    columns = {
        **described(facts),
        "parameters": sum(facts.parameters.values()),
        "size": sum(entry.size for entry in entries.values()),
        "tags": tags,
        "state": state,
        "outcome": state,
        "updated_at": at,
    }
    words = [repository.full_name, *(str(columns[key]) for key in ("summary", "base", "kind", "task"))]
    text, triggers = search_text(*words, title=_clean(facts.title), tags=tags), _triggers(facts.words)
    if not state:
        columns["serves"] = ""
    _SHOW_REVISION(repository=repository.pk, text=text, ungated_text=text + triggers, triggers=triggers, **columns)


def _shown(repository: int, text: str, ungated_text: str, **columns: Any) -> Update:
    # Decided by the row: a gate may have been put there, and a version verified, since `repository` was read.
    columns["search_text"] = Case(When(gated="", then=as_value(ungated_text)), default=as_value(text))
    if "serves" in columns:
        columns["serves"] = unless_verified(columns["serves"])
    return Repository.objects.filter(pk=repository), columns | {"is_main_held": refs.main_is_held()}


_SHOW_REVISION = PreparedUpdate(_shown)


def _triggers(words: Iterable[str]) -> str:
    """Return words as a column, in lower case between tabs; those beyond its length are left out."""
    column = "\t"
    for word in words:
        part = f"{_clean(word).lower()}\t"
        if len(column) + len(part) <= MAX_TRIGGERS:
            column += part
    return column if column != "\t" else ""


def _lines(names: Iterable[str]) -> str:
    """Return names as a column that can be searched for whole ones; those beyond its length are left out."""
    column = "\n"
    for name in names:
        line = f"{_clean(name)}\n"
        if "\n" not in name and len(column) + len(line) <= MAX_TARGETS:
            column += line
    return column if column != "\n" else ""


def _clean(text: str) -> str:
    """Return the text without characters that a database refuses: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
