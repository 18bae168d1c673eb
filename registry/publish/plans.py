"""Plans of pushes: how each file travels, and what is refused before its bytes do; .gitignore is matched as git does.

The patterns are written by strangers, so they are matched without backtracking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.conf import settings

from registry.bytes import blobs
from registry.kernel import policy, quotas
from registry.kernel.errors import PushTooLarge, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Repository
from registry.publish import open_pushes
from registry.repos import pull, refs
from registry.repos.manifest import LFS_SUFFIXES, Entry, is_default_gitattributes

MAX_ASKED = 1000
MAX_TEXT = 64 << 10
MAX_RULES = 500
MAX_PARTS = 32
MAX_STEPS = 2_000_000  # about a second


@dataclass(frozen=True, slots=True)
class _Rule:
    parts: tuple[str, ...]  # shell patterns of path parts; ** stands for any number of them
    is_negated: bool
    is_for_folders: bool


class GitIgnore:
    """The rules of one .gitignore at the root of a repository."""

    def __init__(self, text: str) -> None:
        lines = text[:MAX_TEXT].splitlines()[:MAX_RULES]
        self._rules = [rule for rule in map(_rule, lines) if rule is not None]
        self._steps_left = MAX_STEPS

    def leaves_out(self, path: str) -> bool:
        """Return whether the file, or a folder it lies in, is ignored; nothing in an ignored folder can be re-included.

        Raises ValueInvalid after MAX_STEPS comparisons, over all calls of one object.
        """
        parts = path.split("/")
        return any(self._is_ignored(parts[:depth], depth < len(parts)) for depth in range(1, len(parts) + 1))

    def _is_ignored(self, parts: Sequence[str], is_folder: bool) -> bool:
        ignored = False
        for rule in self._rules:
            self._steps_left -= len(rule.parts) * len(parts)
            if self._steps_left < 0:
                raise ValueInvalid(
                    "This .gitignore has too many patterns for so many files.", fix="Use fewer patterns."
                )
            if (is_folder or not rule.is_for_folders) and _matches(rule.parts, parts):
                ignored = not rule.is_negated
        return ignored


def _rule(line: str) -> _Rule | None:
    pattern = line.rstrip()
    if not pattern or pattern.startswith("#"):
        return None
    is_negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!").removeprefix("\\")
    is_for_folders, pattern = pattern.endswith("/"), pattern.rstrip("/")
    # Without a slash inside, a pattern means the name at any depth.
    parts = pattern.removeprefix("/").split("/") if "/" in pattern else ["**", pattern]
    return _Rule(tuple(parts), is_negated, is_for_folders) if pattern and len(parts) <= MAX_PARTS else None


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    # reached[i]: the patterns so far can use up exactly the first i parts.
    reached = [True, *(False for _ in parts)]
    for shell in pattern:
        if shell == "**":
            first = reached.index(True) if True in reached else len(reached)
            reached = [at >= first for at in range(len(reached))]
        else:
            # fnmatch compiles * to atomic groups, so no pattern makes it backtrack.
            reached = [False, *(reached[at] and fnmatchcase(part, shell) for at, part in enumerate(parts))]
    return reached[-1]


@dataclass(frozen=True, slots=True)
class Asked:
    """A file that a client would like to push; size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The upload mode of a file. `oid` is the current file at that path, in the digest of that mode."""

    path: str
    is_lfs: bool
    is_ignored: bool
    oid: str | None


def plan(
    repository: Repository,
    ref: str,
    asked: Sequence[Asked],
    *,
    by: Caller,
    gitignore: str | None,
    propose: bool = False,
) -> list[Planned]:
    """Return the upload mode of each file, and note what is announced. Raises what `decide` raises."""
    planned, current = decide(repository, ref, asked, by=by, gitignore=gitignore)
    coming = {file.path: file.size for file, answer in zip(asked, planned, strict=True) if not answer.is_ignored}
    if by.user is not None:
        open_pushes.expect(repository, open_pushes.lane(ref, propose=propose), by.user, coming, current)
    return planned


def decide(
    repository: Repository, ref: str, asked: Sequence[Asked], *, by: Caller, gitignore: str | None = None
) -> tuple[list[Planned], Mapping[str, Entry]]:
    """Return the upload mode of each file, and the current files. Refuses before bytes are sent.

    Raises what policy.require raises, RevisionNotFound, PathInvalid, FileTooLarge and PushTooLarge.
    """
    policy.require(by, Permission.DISCUSS, repository)
    check(asked)
    current = pull.entries(refs.resolve_ref(repository, ref))
    # A file of the same size at the same path is most likely unchanged; the push itself checks the quota exactly.
    quotas.require_byte_quota(repository, sum(file.size for file in asked if _size_at(current, file.path) != file.size))
    ignore = GitIgnore(gitignore if gitignore is not None else _text_of(current.get(".gitignore")))
    lfs = GitIgnore(_lfs_patterns(_text_of(current.get(".gitattributes"))))
    return [_planned(file, current.get(names.check_path(file.path)), ignore, lfs) for file in asked], current


def check(asked: Sequence[Asked]) -> None:
    """Raise PathInvalid, FileTooLarge or PushTooLarge for files that no repository takes."""
    if len(asked) > MAX_ASKED:
        raise PushTooLarge(
            f"{len(asked):,} files in one request; the limit is {MAX_ASKED:,}.", fix="Split the request."
        )
    for file in asked:
        names.check_path(file.path)
        quotas.check_file(file.path, file.size)
    quotas.check_push(sum(file.size for file in asked))


def is_heavy(path: str, size: int) -> bool:
    """Return whether a file travels by LFS wherever it lies; others do where a .gitattributes says so."""
    return size > settings.MAX_INLINE_BYTES or path.lower().endswith(LFS_SUFFIXES)


def _size_at(entries: Mapping[str, Entry], path: str) -> int:
    entry = entries.get(path)
    return entry.size if entry else -1


def _planned(file: Asked, current: Entry | None, ignore: GitIgnore, lfs: GitIgnore) -> Planned:
    is_lfs = is_heavy(file.path, file.size) or lfs.leaves_out(file.path)
    oid = None
    if current is not None and is_lfs:
        oid = current.sha256
    elif current is not None and not current.is_lfs:
        oid = current.git_oid
    return Planned(file.path, is_lfs, ignore.leaves_out(file.path), oid)


def _text_of(entry: Entry | None) -> str:
    if entry is None or is_default_gitattributes(entry):
        return ""
    with blobs.store().open(blobs.Keys.blob(entry.sha256), 0, MAX_TEXT) as reader:
        return reader.read().decode("utf-8", "replace")


def _lfs_patterns(gitattributes: str) -> str:
    """Return the LFS patterns of a .gitattributes, one a line."""
    lines = [line.split() for line in gitattributes.splitlines()]
    return "\n".join(words[0] for words in lines if "filter=lfs" in words[1:])
