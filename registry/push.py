"""How a push becomes a revision, in named steps: bytes, rows, nudge, never in another order.

A push that dies leaves bytes without rows (swept later) or a queued verdict (rung again later), and never a revision
whose file is missing. What travels before the push is in uploads.py; how bytes are proven is in intake.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry import (
    bases,
    blobs,
    catalog,
    discussions,
    events,
    facts,
    intake,
    landing,
    manifest,
    names,
    policy,
    possession,
    pull,
    quotas,
    refs,
    uploads,
    verdicts,
    webhooks,
)
from registry.blobs import Keys
from registry.errors import (
    BlobUnknown,
    DigestMismatch,
    FileNotFound,
    FileTooLarge,
    ParentStale,
    PushTooLarge,
    ValueInvalid,
)
from registry.facts import Facts
from registry.manifest import Entry
from registry.models import Adapter, Possession, Ref, Revision, RevisionFile, Verdict
from registry.policy import Caller, Permission
from registry.refs import MAIN

MAX_OPERATIONS = 20_000
MAX_FILES = 10_000
MAX_FOLDERS_DELETED = 1000  # each is a look at every path, while others wait for the lock
MAX_TITLE, MAX_MESSAGE = 500, 64 << 10
MAX_TAGS, MAX_TAG = 200, 200


# --- what a push may ask for -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Inline:
    """A file whose bytes came with the push."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A file whose bytes were delivered before. A size the client states must be the store's; copies state none."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """A path that goes away: a file, or a folder with all that is in it."""

    path: str


Operation = Inline | Stored | Deletion
Edit = Entry | Stored | Deletion


@dataclass(frozen=True)
class Intent:
    """Where a push goes, who pushes, and what is said about it."""

    adapter: Adapter
    ref: str
    by: Caller
    title: str
    message: str = ""
    parent: str = ""  # the commit the pusher saw, whole or abbreviated; "": whatever is there
    propose: bool = False  # leave the ref alone and make refs/pr/N


@dataclass(frozen=True)
class Draft:
    """The revision that would come of an intent on top of `head`."""

    head: Revision | None
    entries: dict[str, Entry]
    is_noop: bool
    facts: Facts = field(repr=False)


# --- the push --------------------------------------------------------------------------------------------------------
def receive(intent: Intent, operations: Iterable[Operation]) -> Ref:
    """Apply the operations, in order, to what the ref points at; return the ref, moved to the new revision.

    Files equal to those that are there make no revision: retries are free. Raises what policy.require raises,
    RevisionNotFound, RefProtected, ParentStale, PathInvalid, FileNotFound (deleting what is not there), FileTooLarge,
    PushTooLarge, BlobUnknown, ValueInvalid; nothing but unreferenced bytes is left behind then.
    """
    adapter = intent.adapter
    require_for(adapter, intent.ref, intent.by, propose=intent.propose)
    _check_words(intent)
    refs.head(adapter, intent.ref)  # an unknown branch is refused before any byte is kept
    if not intent.propose:
        refs.check_pushable(intent.ref)
    edits = _believe(adapter, _keep_bytes(adapter, operations), intent.by)
    draft = _compose(intent, edits)
    with transaction.atomic():
        current = policy.require_now(intent.by, Permission.BROWSE, adapter)  # locks: one push at a time for each
        require_for(current, intent.ref, intent.by, propose=intent.propose)
        if refs.head(adapter, intent.ref) != draft.head:
            draft = _compose(intent, edits)  # somebody was faster; under the lock nobody is faster twice
        quotas.require_room_for(adapter, {entry.sha256: entry.size for entry in draft.entries.values()})
        landing.note(edit.sha256 for edit in edits if isinstance(edit, Entry) and edit.is_lfs)
        return _land(intent, draft)


def put(intent: Intent, entries: dict[str, Entry], *, onto: Revision | None, like: Revision | None = None) -> Ref:
    """Write a revision with these files after `onto` (None: a first one), and move the ref to it.

    `like` is a revision with the same files, whose verdict holds for this one too. Call it in the transaction in which
    you asked for permission, under the adapter's lock. Raises RevisionNotFound, PathInvalid and PushTooLarge.
    """
    _check_words(intent)
    _check_tree(entries)
    quotas.require_room_for(intent.adapter, {entry.sha256: entry.size for entry in entries.values()})
    was = refs.head(intent.adapter, intent.ref)
    said = facts.of(entries, intent.adapter.type)
    return _land(intent, Draft(onto, entries, False, said), was=was, like=like)


def rewrite(old: Revision, parent: Revision | None, entries: dict[str, Entry], into: Adapter | None = None) -> Revision:
    """Write a commit anew, with its words, author and time, after another parent, with these files, into an adapter."""
    words = {"title": old.title, "message": old.message}
    oid = manifest.revision_oid(
        entries, parent=parent.oid if parent else None, author=old.author.username, at=old.created_at, **words
    )
    known = {"parent": parent, "author": old.author, "created_at": old.created_at, **words}
    made, is_new = Revision.objects.get_or_create(adapter=into or old.adapter, oid=oid, defaults=known)
    if is_new:
        _write_files(made, list(entries.values()))
    return made


def settle(adapter: Adapter) -> None:
    """Let verdicts and what lists show follow refs that were moved by hand; call it under the adapter's lock."""
    for ref in adapter.refs.select_related("revision__adapter"):
        said = facts.of(pull.entries(ref.revision), adapter.type)
        verdict = verdicts.latest(ref.revision) or _judged(ref.revision, said)
        if ref.name == MAIN:
            entries = pull.entries(ref.revision)
            state = verdict.state if verdict else ""
            _show(adapter, Draft(None, entries, False, said), ref.revision.created_at, state)
    verdicts.refresh(adapter)


def require_for(adapter: Adapter, ref: str, by: Caller, *, propose: bool = False) -> Permission:
    """Raise unless the caller may push to this ref, or propose something for it; returns the permission that it takes.

    Whoever sees an adapter may propose, and push to his own proposals. Raises what policy.require raises,
    RevisionNotFound for what is not there or held back, DiscussionClosed for a pull request that is merged,
    RefProtected.
    """
    policy.require(by, Permission.BROWSE, adapter)  # before anything is said about its refs
    if propose:
        discussions.check_base(ref)
    needed = Permission.DISCUSS if propose else discussions.permission_for(adapter, ref, by)
    policy.require(by, needed, adapter)
    if not policy.may_write(by, adapter):  # else a proposal on top of a quarantined revision would hold its files
        pull.require_shown(refs.head(adapter, ref), by)
    return needed


def begin(adapter: Adapter, by: Caller, files: Sequence[Inline] = ()) -> Ref:
    """Give a new adapter its first revision: files, and the .gitattributes that git and the Hub's clients expect.

    Call it in the transaction that makes the adapter.
    """
    intent = Intent(adapter, MAIN, by, title="initial commit")
    edits = _keep_bytes(adapter, [Inline(".gitattributes", uploads.GITATTRIBUTES), *files])
    entries = {edit.path: edit for edit in edits if isinstance(edit, Entry)}
    return _land(intent, Draft(None, entries, False, facts.of(entries, adapter.type)))


# --- bytes -----------------------------------------------------------------------------------------------------------
def _keep_bytes(adapter: Adapter, operations: Iterable[Operation]) -> list[Edit]:
    """Put inline bytes into the store, one file at a time, and check every path."""
    edits: list[Edit] = []
    total = 0
    for operation in operations:
        path = names.check_path(operation.path)
        if len(edits) >= MAX_OPERATIONS:
            raise PushTooLarge(f"This push holds more than {MAX_OPERATIONS:,} operations.")
        match operation:
            case Inline(content=content):
                total += _check_size(path, len(content), settings.MAX_INLINE_BYTES)
                _check_total(total)
                kept = intake.receive_inline(adapter, content)
                edits.append(Entry(path, kept.sha256, kept.size, False, manifest.git_blob_oid(content)))
            case Stored():
                edits.append(replace(operation, path=path))
            case Deletion():
                edits.append(Deletion(path))
    return edits


def _believe(adapter: Adapter, edits: list[Edit], by: Caller) -> list[Entry | Deletion]:
    """Turn claims into entries: a digest counts if this adapter was given its bytes, or the caller can read them."""
    claimed = {edit.sha256 for edit in edits if isinstance(edit, Stored)}
    known = possession.usable(adapter, claimed, by)
    believed: list[Entry | Deletion] = []
    total = 0
    for edit in edits:
        if not isinstance(edit, Stored):
            believed.append(edit)
            continue
        size = _proven_size(adapter, edit, known)
        total += _check_size(edit.path, size, settings.MAX_FILE_BYTES)
        _check_total(total)
        believed.append(manifest.lfs_entry(edit.path, edit.sha256, size))
    return believed


def _proven_size(adapter: Adapter, claim: Stored, known: Mapping[str, int]) -> int:
    # The look into the store is for a delivery that died between its row and its bytes.
    if claim.sha256 not in known or not blobs.exists(Keys.blob(claim.sha256)):
        raise BlobUnknown(
            f"The bytes of {claim.path!r} (sha256 {claim.sha256}) were never delivered to {adapter.full_name}."
        )
    size = known[claim.sha256]
    if claim.size not in (None, size):
        raise DigestMismatch(f"{claim.path!r} is said to have {claim.size:,} bytes, but {claim.sha256} has {size:,}.")
    return size


def _check_size(path: str, size: int, limit: int) -> int:
    if size > limit:
        raise FileTooLarge(f"{path!r} has {size:,} bytes; the limit is {limit:,}.", limit=limit)
    return size


def _check_total(total: int) -> None:
    if total > settings.MAX_PUSH_BYTES:
        raise PushTooLarge(f"This push holds {total:,} bytes or more; the limit is {settings.MAX_PUSH_BYTES:,}.")


# --- the tree --------------------------------------------------------------------------------------------------------
def _compose(intent: Intent, edits: list[Entry | Deletion]) -> Draft:
    """Work out the revision on top of the current head: files, collisions, facts. Writes nothing."""
    head = refs.head(intent.adapter, intent.ref)
    before = pull.entries(head)
    try:
        after = _apply(before, edits)
    except FileNotFound:
        if not _is_replay(intent, head, before, edits):
            raise
        after = before
    is_noop = after == before
    if not is_noop and not head.oid.startswith(intent.parent.lower()):
        raise ParentStale(
            "The branch was updated since you opened this page. Please refresh and try again. "
            f"{refs.short(intent.ref)} is at {head.oid}, not at {intent.parent}."
        )
    if not is_noop:
        _check_tree(after)
    return Draft(head, after, is_noop, facts.of(after, intent.adapter.type))


def _check_tree(entries: Mapping[str, Entry]) -> None:
    names.check_tree(entries)
    if len(entries) > MAX_FILES:
        raise PushTooLarge(f"The repository would hold {len(entries):,} files; the limit is {MAX_FILES:,}.")


def _apply(before: Mapping[str, Entry], edits: Iterable[Entry | Deletion]) -> dict[str, Entry]:
    after, folders = dict(before), 0
    for edit in edits:
        if isinstance(edit, Entry):
            after[edit.path] = edit
        elif edit.path in after:
            del after[edit.path]
        else:
            folders += 1
            if folders > MAX_FOLDERS_DELETED:
                raise PushTooLarge(f"This push deletes more than {MAX_FOLDERS_DELETED:,} folders.")
            inside = [path for path in after if path.startswith(edit.path + "/")]
            if not inside:
                raise FileNotFound(f"A file with this name doesn't exist: {edit.path!r} cannot be deleted.")
            for path in inside:
                del after[path]
    return after


def _is_replay(intent: Intent, head: Revision, now: Mapping[str, Entry], edits: list[Entry | Deletion]) -> bool:
    """Whether head already is this very push: clients send a commit again when the answer to the first was lost."""
    if head.parent is None or head.title != intent.title or head.author != intent.by.user:
        return False
    try:
        return _apply(pull.entries(head.parent), edits) == now
    except FileNotFound:
        return False


# --- rows ------------------------------------------------------------------------------------------------------------
def _land(intent: Intent, draft: Draft, *, was: Revision | None = None, like: Revision | None = None) -> Ref:
    """Write everything in the transaction that the caller opened, and ring for a worker when it is over.

    `was` is what the ref points at where that is not the draft's parent.
    """
    was = was or draft.head
    if draft.is_noop and draft.head is not None:
        return _announced(intent, was, _point(intent, draft.head, was))
    revision = _write_revision(intent, draft)
    ref = _point(intent, revision, was)  # before the verdict, which shows itself on main's adapter
    verdict = _judged(revision, draft.facts, like)
    if ref.name == MAIN:
        _show(intent.adapter, draft, revision.created_at, verdict.state if verdict else "")
    return _announced(intent, was, ref)


def _judged(revision: Revision, said: Facts, like: Revision | None = None) -> Verdict | None:
    """Ask for a verdict on an adapter, or take over the one of a revision with the same files."""
    if said.description is None:
        return None
    known = verdicts.adopt(revision, like) if like is not None else None
    if known is not None:
        verdicts.refresh(revision.adapter)
    family = clean(said.description.format)[:32]
    stated = said.bases[:1] if family in verdicts.NOT_RUN else []  # their files do not say it, the card may
    base = clean(said.description.base or next(iter(stated), ""))[:200]
    return known or verdicts.request(revision, base, family)


def _announced(intent: Intent, was: Revision | None, ref: Ref) -> Ref:
    """Tell webhooks which ref moved; the first revision comes with the adapter, which is announced as a whole."""
    old = None if intent.propose else was
    if ref.revision != old:
        events.note(intent.adapter, "push", ref.revision, ref=ref.name)
    if was is not None and ref.revision != old:
        moved = {"ref": ref.name, "oldSha": old.oid if old else None, "newSha": ref.revision.oid}
        webhooks.announce(intent.adapter, "update", "repo.content", updatedRefs=[moved])
    return ref


def _write_revision(intent: Intent, draft: Draft) -> Revision:
    at = timezone.now().replace(microsecond=0)  # ids know whole seconds
    author = intent.by.user
    assert author is not None, "policy lets nobody push without a person"
    words = {"title": intent.title, "message": intent.message}
    parent = draft.head.oid if draft.head else None
    oid = manifest.revision_oid(draft.entries, parent=parent, author=author.username, at=at, **words)
    # The same push to two branches within a second is the same revision, as in git.
    revision, is_new = Revision.objects.get_or_create(
        adapter=intent.adapter, oid=oid, defaults={"parent": draft.head, "author": author, "created_at": at, **words}
    )
    if is_new:
        _write_files(revision, list(draft.entries.values()))
    return revision


def _write_files(revision: Revision, entries: list[Entry]) -> None:
    held = [Possession(adapter_id=revision.adapter_id, blob_id=sha256) for sha256 in {e.sha256 for e in entries}]
    Possession.objects.bulk_create(held, ignore_conflicts=True, batch_size=500)
    RevisionFile.objects.bulk_create(list(_rows(revision, entries)), batch_size=500)


def _rows(revision: Revision, entries: Iterable[Entry]) -> Iterator[RevisionFile]:
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
    """Move the ref from head to the revision, or make the ref that does not exist yet."""
    if intent.propose:
        made = discussions.propose(intent.adapter, intent.title, intent.message, intent.by, base=intent.ref)
        if revision != head:
            discussions.note_commit(intent.adapter, made.ref, revision)
        return Ref.objects.create(adapter=intent.adapter, name=made.ref, revision=revision)
    if head is None:
        return Ref.objects.create(adapter=intent.adapter, name=intent.ref, revision=revision)
    ref = Ref.objects.filter(adapter=intent.adapter, name=intent.ref, revision=head).select_for_update().first()
    if ref is None:  # deleted in the meantime; a move is impossible under the lock
        raise refs.missing(refs.short(intent.ref))
    if revision != head:
        ref.revision = revision
        ref.save(update_fields=["revision", "updated_at"])
        discussions.note_commit(intent.adapter, ref.name, revision)
    return ref


def _show(adapter: Adapter, draft: Draft, at: datetime, state: str) -> None:
    """Copy what main now says onto the adapter, for lists and search."""
    said, known = draft.facts, draft.facts.description
    named = [known.base] if known and known.base in said.bases else said.bases
    tags = [clean(tag)[:MAX_TAG] for tag in said.tags[:MAX_TAGS]]
    rank = known.rank if known else None
    shown = {
        "summary": clean(said.summary)[:300],
        "format": clean(known.format)[:32] if known else "",
        "kind": clean(known.kind or "")[:32] if known else "",
        "base": bases.canonical(named[0]) if named else "",
        "task": clean(said.task)[:64],
        "licence": clean(said.card.license)[:64],
        "parameters": sum(said.parameters.values()),
        "rank": rank if rank is not None and 0 <= rank < 1 << 31 else None,
        "size": sum(entry.size for entry in draft.entries.values()),
        "tags": tags,
        "state": state,
        **({} if state else {"serves": ""}),
        "updated_at": at,
    }
    words = [adapter.full_name, *(str(shown[key]) for key in ("summary", "base", "kind", "task"))]
    Adapter.objects.filter(pk=adapter.pk).update(**shown, search_text=catalog.search_text(*words, tags=tags))


# --- words -----------------------------------------------------------------------------------------------------------
def clean(text: str) -> str:
    """Return the text without what a database refuses: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _check_words(intent: Intent) -> None:
    if not names.check_text(intent.title, "commit summary", MAX_TITLE):
        raise ValueInvalid("A commit needs a summary.", fix="Say in a few words what changes.")
    names.check_text(intent.message, "commit description", MAX_MESSAGE)
