"""Makes the objects of one name in the store those of now: what must not be there goes first, the index comes last.

The store is the state: the keys that are there are listed and compared with those that should be. So a run that was
killed is repaired by the next one, and a name that nobody may pull any more is the case without wanted keys.

Documents for stock clients of the Hub, which nginx serves while it stands in for the hub (deploy/nginx/plane.conf), are
only in an object store, which gives objects headers of their own:

    plane/wire/info/NS/NAME/NAME_OF_REV    a commit id, also as its header: a branch, a tag, an alias or `verified`
    plane/wire/info/NS/NAME/COMMIT         the answer to /api/models/NS/NAME/revision/COMMIT; its header names it too
    plane/wire/tree/NS/NAME/COMMIT         the answer to /api/models/NS/NAME/tree/COMMIT?recursive=true
    plane/wire/file/NS/NAME/COMMIT/PATH    empty; its headers say where the bytes are and what the hub says of them
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef
from django.utils import timezone

from features.plane import documents
from features.plane.documents import LONG, SHORT, Document, Served
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Keys
from registry.bytes.object_copies import batched
from registry.kernel.policy import NOBODY
from registry.kernel.texts import cursors
from registry.models import Blob, DerivedArtifact
from registry.repos import manifest, pull
from registry.repos.derived import DerivedEntry
from registry.repos.manifest import Entry

INFO, TREE, FILE = (f"{Keys.PLANE}wire/{name}/" for name in ("info", "tree", "file"))


def names_of(served: Served) -> Iterator[tuple[str, Document]]:
    """Yield key and document of each name, which has a short life."""
    for name, oid in served.names.items():
        if "/" not in name:  # nginx passes on names of one part
            document = Document(oid.encode(), SHORT, kind="text/plain", facts={"commit": oid})
            yield f"{INFO}{served.repository.full_name}/{name}", document


def _info(served: Served, oid: str, entries: Mapping[str, Entry]) -> Document:
    """Return what a client learns of a repository at a commit: only what its download needs, and what never changes."""
    repository = served.repository
    document = {
        "_id": cursors.format_hub_id(repository.pk),
        "id": repository.full_name,
        "modelId": repository.full_name,
        "author": repository.namespace.name,
        "sha": oid,
        "private": False,
        "gated": False,
        "disabled": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [{"rfilename": path} for path in sorted(entries)],
    }
    return Document(json.dumps(document).encode(), facts={"commit": oid})


def revision_of(served: Served, oid: str, entries: Mapping[str, Entry]) -> Iterator[tuple[str, Document]]:
    """Yield key and document of everything that belongs to one commit."""
    full_name = served.repository.full_name
    yield f"{INFO}{full_name}/{oid}", _info(served, oid, entries)
    yield f"{TREE}{full_name}/{oid}", Document(json.dumps(_tree(entries)).encode(), facts={"commit": oid})
    for path, entry in entries.items():
        facts = {
            "commit": oid,
            "blob": Keys.public_blob(entry.sha256).removeprefix(Keys.PLANE),
            "etag": entry.sha256 if entry.is_lfs else entry.git_oid,
            **({"linked-etag": f'"{entry.sha256}"', "linked-size": str(entry.size)} if entry.is_lfs else {}),
        }
        yield f"{FILE}{full_name}/{oid}/{path}", Document(b"", facts=facts)


def _tree(entries: Mapping[str, Entry]) -> list[dict[str, object]]:
    pushed = [entry for entry in entries.values() if not isinstance(entry, DerivedEntry)]
    folders = manifest.folder_oids(pushed)
    rows: list[dict[str, object]] = [
        {"type": "directory", "oid": oid, "size": 0, "path": path} for path, oid in folders.items() if path
    ]
    return sorted(rows + [_file(entry) for entry in entries.values()], key=lambda row: str(row["path"]))


def _file(entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"type": "file", "oid": entry.git_oid, "size": entry.size, "path": entry.path}
    if entry.is_lfs:
        pointer = manifest.pointer(entry.sha256, entry.size)
        row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": len(pointer)}
    return row


BATCH = 500
FILES = 500  # of revisions in one run: what a repository has beyond waits until others, and withdrawals, had their turn


@dataclass
class Written:
    """The result of one run: whether documents are there now, and the digests of the bytes that it has made public.

    Unless it `is_whole`, more is to be done for this name.
    """

    is_served: bool = False
    is_whole: bool = True
    digests: set[str] = field(default_factory=set)


def write(full_name: str, goes_on: Callable[[], bool], *, afresh: bool = False) -> Written:
    """Write and remove objects of a name. Raises StoreUnavailable, and BlobMissing for bytes that the store lost.

    `goes_on` is asked before documents appear: where it says no, something changed meanwhile, and none appears. With
    `afresh`, all documents that are there are written again.
    """
    served = documents.find_served(full_name)
    oids = set(served.revisions) if served else set()
    present = _present_revisions(full_name)
    is_whole = _withdraw(full_name, served, present)
    if served is None or not oids:
        return Written(is_whole=is_whole)
    trees = _trees(served, oids) if afresh else _trees(served, oids - present, FILES)
    there = present | trees.keys()
    written = Written(is_served=True, is_whole=is_whole and oids <= there)
    for sha256 in {entry.sha256 for entries in trees.values() for entry in entries.values()}:
        written.digests.add(sha256)
        _share(sha256)
    if goes_on():
        _appear(_only(served, there), trees)
    return written


def _trees(served: Served, oids: set[str], most: int | None = None) -> dict[str, Mapping[str, Entry]]:
    """Return the files of these revisions, those with a name and the newest first, up to so many files."""
    named, trees, count = set(served.names.values()), dict[str, Mapping[str, Entry]](), 0
    for oid in sorted(oids, key=lambda oid: (oid in named, served.revisions[oid].pk), reverse=True):
        entries = pull.served_entries(served.revisions[oid])
        count += len(entries)
        if trees and most is not None and count > most:
            break
        trees[oid] = entries
    return trees


def drop_bytes(digests: set[str]) -> int:
    """Remove the public bytes of these digests that no file has which anybody may download; return how many."""
    dropped = 0
    for part in batched(sorted(digests), BATCH):
        gone = set(part) - _public_among(part)
        for sha256 in gone:
            blobs.store().delete(Keys.public_blob(sha256))
        for sha256 in _public_among(gone):  # another repository came meanwhile, and found the bytes there
            _share(sha256)
        dropped += len(gone)
    return dropped


def _public_among(digests: Iterable[str]) -> set[str]:
    asked = list(digests)
    derived = list(DerivedArtifact.objects.filter(blob__in=asked).values_list("source", "blob"))
    # By blobs, not by files: some blobs are a file of every repository.
    public_files = pull.downloadable(NOBODY).filter(blob=OuterRef("pk"))
    blobs_of = Blob.objects.filter(Exists(public_files), pk__in=[*asked, *(source for source, _ in derived)])
    public = set(blobs_of.values_list("pk", flat=True))
    return public | {blob for source, blob in derived if source in public}


# --- what goes -------------------------------------------------------------------------------------------------------
def _present_revisions(full_name: str) -> set[str]:
    prefix = documents.revision_key(full_name, "").removesuffix(".json")
    return {entry.key.removeprefix(prefix).removesuffix(".json") for entry in blobs.store().list(prefix)}


def _withdraw(full_name: str, served: Served | None, present: set[str]) -> bool:
    """Remove what nobody may read any more: first from the index, which readers ask first, then the bytes.

    Return whether all of it is gone; of many files, some of which nothing is left to read are for the next run.
    """
    kept = present & set(served.revisions) if served else set()
    if served and kept:
        if kept != present:
            _put(documents.index_key(full_name), documents.index_of(_only(served, kept), timezone.now()))
    else:
        blobs.store().delete(documents.index_key(full_name))
    _withdraw_infos(full_name, served, present, kept)
    gone = sorted(present - kept)
    drop_bytes({sha256 for oid in gone for sha256 in _digests_of(full_name, oid)})
    removed = 0
    for oid in gone:
        if removed >= FILES:
            return False
        for prefix in (f"{FILE}{full_name}/{oid}/", f"{TREE}{full_name}/{oid}"):
            removed += _delete_all(prefix)
        blobs.store().delete(documents.revision_key(full_name, oid))  # last: a run that is killed finds the rest by it
        removed += 1
    return True


def _withdraw_infos(full_name: str, served: Served | None, present: set[str], kept: set[str]) -> None:
    """Remove what leads to a commit that goes; a name that only moves on leads to the former one until then."""
    named = {name for name, oid in served.names.items() if oid in kept or kept == present} if served else set()
    prefix = f"{INFO}{full_name}/"
    for entry in list(blobs.store().list(prefix)):
        if entry.key.removeprefix(prefix) not in kept | named:
            blobs.store().delete(entry.key)


def _only(served: Served, oids: set[str]) -> Served:
    return Served(
        served.repository,
        {oid: revision for oid, revision in served.revisions.items() if oid in oids},
        {name: oid for name, oid in served.names.items() if oid in oids},
        {oid: state for oid, state in served.states.items() if oid in oids},
    )


def _digests_of(full_name: str, oid: str) -> list[str]:
    try:
        text = b"".join(blobs.pieces(blobs.store().open(documents.revision_key(full_name, oid))))
    except BlobMissing:  # another worker removed it meanwhile, and its bytes before
        return []
    return [file["sha256"] for file in json.loads(json.loads(text)["signed"])["files"]]


def _delete_all(prefix: str) -> int:
    entries = list(blobs.store().list(prefix))
    for entry in entries:
        blobs.store().delete(entry.key)
    return len(entries)


# --- what appears ----------------------------------------------------------------------------------------------------
def _appear(served: Served, trees: Mapping[str, Mapping[str, Entry]]) -> None:
    full_name, has_headers = served.repository.full_name, blobs.store().keeps_headers
    for oid, entries in trees.items():
        if has_headers:
            for key, document in revision_of(served, oid, entries):
                _put(key, document)
        _put(documents.revision_key(full_name, oid), documents.revision_of(served, oid, entries.values()))
    if has_headers:
        _put_names(served)
    _put(documents.index_key(full_name), documents.index_of(served, timezone.now()))


def _put_names(served: Served) -> None:
    """Write the names that are not there yet or lead elsewhere: a push moves few of thousands."""
    etags = {entry.key: entry.etag for entry in blobs.store().list(f"{INFO}{served.repository.full_name}/")}
    for key, document in names_of(served):
        if etags.get(key) != hashlib.md5(document.data, usedforsecurity=False).hexdigest():
            _put(key, document)


def _share(sha256: str) -> None:
    blobs.store().share(Keys.blob(sha256), Keys.public_blob(sha256), LONG)


def _put(key: str, document: Document) -> None:
    blobs.store().publish(key, document.data, kind=document.kind, cache=document.cache, facts=document.facts)
