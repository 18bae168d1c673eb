"""The request of a push: its ref, author, message and operations, and the files of the revision that it would create.

Nothing is written here: the operations are edits on top of the current files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from registry.kernel.errors import FileNotFound, ParentStale, PushTooLarge, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Repository, Revision
from registry.repos import pull, refs
from registry.repos.contents import facts
from registry.repos.contents.facts import Facts
from registry.repos.manifest import Entry

MAX_TITLE, MAX_MESSAGE = 500, 64 << 10


@dataclass(frozen=True, slots=True)
class Inline:
    """A file whose bytes came with the push."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A file whose bytes were uploaded before. `size` is the client's claim and must be right; None makes no claim."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the file `source` at the revision `rev` of the same repository; "" is the target of the push."""

    path: str
    source: str
    rev: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A path to delete: a file, or a folder with its content."""

    path: str


Operation = Inline | Stored | Copy | Deletion
Edit = Entry | Deletion  # an operation whose bytes are known to be here


@dataclass(frozen=True)
class Intent:
    """The target of a push, its caller, and its message."""

    repository: Repository
    ref: str
    by: Caller
    title: str
    message: str = ""
    parent: str = ""  # the commit that the client saw, full or abbreviated; "" accepts any
    propose: bool = False  # create refs/pr/N and leave the ref as it is


def check_words(intent: Intent) -> None:
    """Raise ValueInvalid without a summary, or for a summary or description that is too long."""
    if not names.check_text(intent.title, "commit summary", MAX_TITLE, "summary"):
        raise ValueInvalid("A commit needs a summary.", fix="Describe the change in a few words.")
    names.check_text(intent.message, "commit description", MAX_MESSAGE, "description")


MAX_FILES = 10_000
MAX_FOLDERS_DELETED = 1000  # each is a scan of all paths under the repository's lock


@dataclass(frozen=True)
class Draft:
    """The revision that an intent would create on top of `head`; `before` are its files, if a client sent the push."""

    head: Revision | None
    entries: dict[str, Entry]
    is_noop: bool
    facts: Facts = field(repr=False)
    before: Mapping[str, Entry] | None = field(default=None, repr=False)


def compose(intent: Intent, edits: list[Edit]) -> Draft:
    """Compute the revision on top of the current head: files, collisions, facts.

    Raises RevisionNotFound, ParentStale, PathInvalid, FileNotFound (deleting what is not there) and PushTooLarge.
    """
    head = refs.resolve_ref(intent.repository, intent.ref)
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
            f"{refs.short_name(intent.ref)} is at {head.oid}, not at {intent.parent}."
        )
    if not is_noop:
        check(after)
    return Draft(head, after, is_noop, facts.read_facts(after, intent.repository.type), before)


def check(entries: Mapping[str, Entry]) -> None:
    """Raise PathInvalid if paths collide, and PushTooLarge if there are too many files."""
    names.check_tree(entries)
    if len(entries) > MAX_FILES:
        raise PushTooLarge(
            f"The repository would hold {len(entries):,} files; the limit is {MAX_FILES:,}.",
            fix="Use several repositories, or archives.",
        )


def _apply(before: Mapping[str, Entry], edits: Iterable[Edit]) -> dict[str, Entry]:
    after, folders = dict(before), 0
    for edit in edits:
        if isinstance(edit, Entry):
            after[edit.path] = edit
        elif edit.path in after:
            del after[edit.path]
        else:
            folders += 1
            if folders > MAX_FOLDERS_DELETED:
                message = f"This push deletes more than {MAX_FOLDERS_DELETED:,} folders."
                raise PushTooLarge(message, fix="Split the push.")
            inside = [path for path in after if path.startswith(edit.path + "/")]
            if not inside:
                raise FileNotFound(f"A file with this name doesn't exist: {edit.path!r} cannot be deleted.")
            for path in inside:
                del after[path]
    return after


def _is_replay(intent: Intent, head: Revision, now: Mapping[str, Entry], edits: list[Edit]) -> bool:
    """Return whether head already is this push: clients repeat a commit if the answer to the first was lost."""
    if head.parent is None or head.parent.is_expired or head.title != intent.title or head.author != intent.by.user:
        return False
    try:
        return _apply(pull.entries(head.parent), edits) == now
    except FileNotFound:
        return False
