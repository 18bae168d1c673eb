"""Repositories as one tree of keys, namespace/name/revision/path, in order: what S3 lists.

A folder is opened only if the page needs its content. Revisions are listed by names; a commit id opens a folder too.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db.models import Exists, OuterRef

from registry.kernel import policy
from registry.kernel.errors import RegistryError, RepositoryNotFound, RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Base, Namespace, Repository, Revision
from registry.repos import bases, lookup, pull, refs
from registry.repos.manifest import Entry
from registry.repos.refs import Viewer

EVERYTHING = "hub"  # the bucket of all namespaces; no namespace can have this name
_LAST = "\U0010ffff"  # after a folder's key: the end of all keys in it
MOST_OPENED = 64  # folders that one page opens, a few queries each; then the page is shorter than it may be


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a list, and when its revision was made."""

    key: str
    entry: Entry
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """A key that ends in a slash, and how to read what is directly in it."""

    key: str
    read: Callable[[], Iterable["ListedFile | Folder"]]


@dataclass
class KeyPage:
    """A part of a list: files, folders that stand for all below them, and where the next page begins; "" at the end."""

    files: list[ListedFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    next: str = ""

    def __len__(self) -> int:
        return len(self.files) + len(self.folders)


def is_namespace(name: str, by: Caller) -> bool:
    """Return whether the caller sees a repository or a served base in the namespace of that name."""
    mine = Repository.objects.filter(
        policy.listed_to(by), type=Repository.Type.MODEL, namespace__name__lower=name.lower()
    )
    return name.isascii() and (mine.exists() or any(_bases(name, by)))


def list_keys(viewer: Viewer, prefix: str, *, delimiter: str = "", after: str = "", limit: int) -> KeyPage:
    """Return the keys with a prefix that come after another one, as S3's ListObjectsV2 does.

    Keys that share their beginning up to a delimiter are one folder. Unknown repositories have no keys.
    """
    walk = _Walk(prefix, delimiter, after, limit)
    if limit:
        walk.open(Folder("", partial(_namespaces, viewer, prefix)))
    return walk.page


@dataclass
class _Walk:
    """One walk through the tree in the order of keys, until the page is full."""

    prefix: str
    delimiter: str
    after: str
    limit: int
    page: KeyPage = field(default_factory=KeyPage)
    opened: int = 0
    last: str = ""  # where the next page would begin: after a file, or after everything in a folder

    def open(self, folder: Folder) -> None:
        for child in sorted(folder.read(), key=lambda child: child.key):
            if self.page.next:
                return
            if not self._has_part_of(child):
                continue
            end = self._end_of_folder(child.key)
            if end and child.key.startswith(self.prefix):
                self._add(child.key[:end])
            elif isinstance(child, ListedFile):
                self._add(child.key, child)
            elif self.opened >= MOST_OPENED:
                self.page.next = f"{child.key[:-1]}.{_LAST}"  # a dot comes right before a slash
            else:
                self.opened += 1
                self.open(child)

    def _has_part_of(self, child: "ListedFile | Folder") -> bool:
        """Return whether the child, or a key in it, has the prefix and comes after the last page."""
        if isinstance(child, ListedFile):
            return child.key.startswith(self.prefix) and child.key > self.after
        is_within = child.key.startswith(self.prefix) or self.prefix.startswith(child.key)
        is_over = self.after == child.key + _LAST
        return is_within and not is_over and (child.key > self.after or self.after.startswith(child.key))

    def _end_of_folder(self, key: str) -> int:
        """Return where the folder that the key counts to ends, by the delimiter; 0 for a key of its own."""
        at = key.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return at + len(self.delimiter) if at >= 0 else 0

    def _add(self, key: str, file: ListedFile | None = None) -> None:
        if file is None and self.page.folders and self.page.folders[-1] == key:
            return
        if len(self.page) == self.limit:
            self.page.next = self.last
            return
        if file is not None:
            self.page.files.append(file)
            self.last = key
        else:
            self.page.folders.append(key)
            self.last = key + _LAST


# --- what is in a folder ---------------------------------------------------------------------------------------------
def _namespaces(viewer: Viewer, prefix: str) -> Iterator[Folder]:
    name, slash, _ = prefix.partition("/")
    if slash:
        yield Folder(f"{name}/", partial(_repositories, viewer, name, prefix))
        return
    listed = Repository.objects.filter(
        policy.listed_to(viewer.by), type=Repository.Type.MODEL, namespace=OuterRef("pk")
    )
    names = set(Namespace.objects.filter(Exists(listed), name__startswith=name).values_list("name", flat=True))
    names |= {base.id.partition("/")[0] for base in _bases("", viewer.by) if base.id.startswith(name)}
    for each in names:
        yield Folder(f"{each}/", partial(_repositories, viewer, each, prefix))


def _repositories(viewer: Viewer, namespace: str, prefix: str) -> Iterator[Folder]:
    name, slash, _ = prefix.removeprefix(f"{namespace}/").partition("/")
    if slash and prefix.startswith(f"{namespace}/"):
        yield from _repository(viewer, f"{namespace}/{name}", prefix)
        return
    if not namespace.isascii():
        return
    rows = Repository.objects.filter(
        policy.listed_to(viewer.by), type=Repository.Type.MODEL, namespace__name__lower=namespace.lower()
    )
    names = set(rows.values_list("name", flat=True))
    names |= {base.id.partition("/")[2] for base in _bases(namespace, viewer.by)}
    for each in names:
        full_name = f"{namespace}/{each}"
        yield Folder(f"{full_name}/", partial(_below, viewer, full_name, prefix))


def _below(viewer: Viewer, full_name: str, prefix: str) -> Iterator[Folder]:
    for folder in _repository(viewer, full_name, prefix):
        yield from folder.read()  # type: ignore[misc]  # a repository holds folders alone


def _repository(viewer: Viewer, full_name: str, prefix: str) -> Iterator[Folder]:
    """Yield the folder of a repository, or of a base; nothing for one that does not exist for the caller."""
    try:
        repository = lookup.find_by_any_name(full_name, viewer.by, Permission.BROWSE)
    except RepositoryNotFound:
        base = bases.find(full_name)
        if base is not None and _may_browse(base, viewer.by):
            yield Folder(f"{full_name}/", partial(_versions_of_base, base, full_name, prefix))
        return
    yield Folder(f"{full_name}/", partial(_revisions, viewer, repository, f"{full_name}/", prefix))


def _revisions(viewer: Viewer, repository: Repository, top: str, prefix: str) -> Iterator[Folder]:
    asked = prefix.removeprefix(top) if prefix.startswith(top) else ""
    if "/" in asked and (revision := _asked_revision(repository, asked, viewer)):
        yield Folder(f"{top}{revision.asked}/", partial(_files, revision, f"{top}{revision.asked}/"))
        return
    named = {ref.name for ref in pull.shown_refs(repository, viewer.by)}
    shown = (refs.BRANCHES, refs.TAGS, refs.ALIASES)
    names = {refs.short_name(name) for name in named if name.startswith(shown)}
    for name in names | ({"verified"} if refs.VERIFIED in named else set()):
        yield Folder(f"{top}{name}/", partial(_files_at, viewer, repository, name, f"{top}{name}/"))


def _asked_revision(repository: Repository, asked: str, viewer: Viewer) -> Revision | None:
    """Return the revision that a path begins with, named as it is there; None if no name does."""
    first = asked.partition("/")[0]
    try:
        revision = pull.resolve_pulled(repository, first, viewer)
        name = first
    except RevisionNotFound:
        try:
            revision, rest = pull.resolve_within(repository, asked.rpartition("/")[0], viewer)
        except RevisionNotFound:
            return None
        name = asked.rpartition("/")[0].removesuffix(rest).rstrip("/")
    revision.asked = name
    return revision if pull.is_shown(revision, viewer.by) else None


def _files_at(viewer: Viewer, repository: Repository, name: str, top: str) -> Iterator[ListedFile]:
    try:
        revision = pull.resolve_pulled(repository, name, viewer)
    except RevisionNotFound:  # main is yanked, or moved meanwhile
        return
    if pull.is_shown(revision, viewer.by):
        yield from _files(revision, top)


def _files(revision: Revision, top: str) -> Iterator[ListedFile]:
    for path, entry in pull.served_entries(revision).items():
        yield ListedFile(f"{top}{path}", entry, revision.created_at)


# --- bases -----------------------------------------------------------------------------------------------------------
def _bases(namespace: str, by: Caller) -> Iterator[Base]:
    """Yield the served bases in a namespace, or all, that the caller sees and no repository has the name of."""
    rows = Base.objects.filter(has_weights=True, served_files__isnull=False).distinct()
    if namespace:
        rows = rows.filter(id__lower__startswith=f"{namespace.lower()}/")
    for base in rows.defer("files"):
        if base.id.count("/") == 1 and _may_browse(base, by):
            yield base


def _may_browse(base: Base, by: Caller) -> bool:
    try:
        bases.require_base(by, Permission.BROWSE, base, base.id)
    except RegistryError:
        return False
    return True


def _versions_of_base(base: Base, full_name: str, prefix: str) -> Iterator[Folder]:
    asked, slash, _ = prefix.removeprefix(f"{full_name}/").partition("/")
    rev = asked if slash and prefix.startswith(f"{full_name}/") else refs.short_name(refs.MAIN)
    try:
        bases.check_revision(base, rev)
    except RevisionNotFound:
        return
    yield Folder(f"{full_name}/{rev}/", partial(_files_of_base, base, f"{full_name}/{rev}/"))


def _files_of_base(base: Base, top: str) -> Iterator[ListedFile]:
    for path, entry in bases.entries(base).items():
        yield ListedFile(f"{top}{path}", entry, base.added_at)
