"""Compute the ids of revisions, folders and files as git does over the same manifest; knows no database."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

# Weights and archives are LFS objects at any size, as in the Hub's default .gitattributes.
_SUFFIXES = """
    .7z .arrow .bin .bz2 .ckpt .ftz .gguf .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb
    .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst
"""
LFS_SUFFIXES = tuple(_SUFFIXES.split())
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
BEGINNING = "initial commit"  # title of the revision that the hub begins a repository with
_OURS = hashlib.sha256(GITATTRIBUTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a revision. `git_oid` is the sha1 of the git blob; for an LFS file, of its pointer.

    One that `is_unsearched` looks like a pickle, and no worker has looked for code in it yet.
    """

    path: str
    sha256: str
    size: int
    is_lfs: bool
    git_oid: str
    is_unsearched: bool = field(default=False, compare=False, kw_only=True)


def is_default_gitattributes(entry: Entry) -> bool:
    """Return whether this is the .gitattributes that the hub itself wrote: nobody needs to read it."""
    return entry.sha256 == _OURS  # not the id of git, which another hub may have told


def git_blob_oid(data: bytes) -> str:
    """Return the sha1 that git gives these bytes."""
    return _object_oid("blob", data)


def pointer(sha256: str, size: int) -> bytes:
    """Return the text that stands for an LFS file in git (git-lfs specification, version 1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def lfs_entry(path: str, sha256: str, size: int) -> Entry:
    """Return the entry of a file that travels as an LFS object."""
    return Entry(path, sha256, size, True, git_blob_oid(pointer(sha256, size)))


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders a path lies in, the innermost first: a/b/c → a/b, a."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def folder_oids(entries: Iterable[Entry]) -> dict[str, str]:
    """Return the git tree id of every folder; the root is ""."""
    listings: dict[str, list[tuple[str, str, str]]] = {"": []}  # folder → (mode, name, oid)
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        listings.setdefault(folder, []).append(("100644", name, entry.git_oid))
        for above in folders_of(entry.path):
            listings.setdefault(above, [])
    oids: dict[str, str] = {}
    for folder in sorted(listings, key=lambda path: (-path.count("/"), path == "")):  # the deepest first, the root last
        oids[folder] = _tree_oid(listings[folder])
        if folder:
            above, _, name = folder.rpartition("/")
            listings[above].append(("40000", name, oids[folder]))
    return oids


def revision_oid(
    entries: Mapping[str, Entry], *, parent: str | None, author: str, at: datetime, title: str, message: str
) -> str:
    """Return the id of a revision: that of the git commit with this tree, parent, author, time (UTC) and message.

    The tree covers every path, and every size and digest through the git blob or the LFS pointer.
    """
    who = f"{author} <{author}@dovetail> {int(at.timestamp())} +0000"
    lines = [f"tree {folder_oids(entries.values())['']}", f"author {who}", f"committer {who}"]
    if parent:
        lines.insert(1, f"parent {parent}")
    words = f"{title}\n\n{message}" if message else title
    return _object_oid("commit", "\n".join([*lines, "", words, ""]).encode())


def _tree_oid(listing: list[tuple[str, str, str]]) -> str:
    # Git sorts a folder as if its name ended in a slash.
    listing.sort(key=lambda row: (row[1] + "/" if row[0] == "40000" else row[1]).encode())
    rows = (f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in listing)
    return _object_oid("tree", b"".join(rows))


def _object_oid(kind: str, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()
