"""Planning a push: how each file travels, and what is refused before its bytes do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.kernel import policy
from registry.kernel.errors import PushTooLarge
from registry.kernel.limits import quotas
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Repository
from registry.publish.uploads import open_pushes
from registry.repos import pull, refs
from registry.repos.contents.gitignore import MAX_TEXT, GitIgnore
from registry.repos.manifest import Entry

# Weights and archives are LFS objects at any size, as in the Hub's default .gitattributes.
_SUFFIXES = """
    .7z .arrow .bin .bz2 .ckpt .ftz .gguf .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb
    .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst
"""
LFS_SUFFIXES = tuple(_SUFFIXES.split())
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
_OURS = blobs.digest_of(GITATTRIBUTES).sha256
MAX_ASKED = 1000


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
    if len(asked) > MAX_ASKED:
        raise PushTooLarge(f"{len(asked):,} files in one question; the limit is {MAX_ASKED:,}.", fix="Ask in several.")
    for file in asked:
        names.check_path(file.path)
        quotas.check_file(file.path, file.size)
    quotas.check_push(sum(file.size for file in asked))
    current = pull.entries(refs.resolve_ref(repository, ref))
    # A file of the same size at the same path is most likely unchanged; the push itself checks the quota exactly.
    quotas.require_byte_quota(repository, sum(file.size for file in asked if _size_at(current, file.path) != file.size))
    ignore = GitIgnore(gitignore if gitignore is not None else _text_of(current.get(".gitignore")))
    lfs = GitIgnore(_lfs_patterns(_text_of(current.get(".gitattributes"))))
    return [_planned(file, current.get(names.check_path(file.path)), ignore, lfs) for file in asked], current


def _size_at(entries: Mapping[str, Entry], path: str) -> int:
    entry = entries.get(path)
    return entry.size if entry else -1


def _planned(file: Asked, current: Entry | None, ignore: GitIgnore, lfs: GitIgnore) -> Planned:
    is_heavy = file.size > settings.MAX_INLINE_BYTES or file.path.lower().endswith(LFS_SUFFIXES)
    is_lfs = is_heavy or lfs.leaves_out(file.path)
    oid = None
    if current is not None and is_lfs:
        oid = current.sha256
    elif current is not None and not current.is_lfs:
        oid = current.git_oid
    return Planned(file.path, is_lfs, ignore.leaves_out(file.path), oid)


def _text_of(entry: Entry | None) -> str:
    if entry is None or is_default_gitattributes(entry):
        return ""
    with blobs.store().open(Keys.blob(entry.sha256), 0, MAX_TEXT) as reader:
        return reader.read().decode("utf-8", "replace")


def is_default_gitattributes(entry: Entry) -> bool:
    """Return whether this is the .gitattributes that the hub itself wrote: nobody needs to read it."""
    return entry.sha256 == _OURS  # not the id of git, which another hub may have told


def _lfs_patterns(gitattributes: str) -> str:
    """Return the LFS patterns of a .gitattributes, one a line."""
    lines = [line.split() for line in gitattributes.splitlines()]
    return "\n".join(words[0] for words in lines if "filter=lfs" in words[1:])
