"""Documents for stock clients of the Hub, which nginx serves while it stands in for the hub: deploy/nginx/plane.conf.

    plane/wire/info/NS/NAME/NAME_OF_REV    a commit id, also as its header: a branch, a tag, an alias or `verified`
    plane/wire/info/NS/NAME/COMMIT         the answer to /api/models/NS/NAME/revision/COMMIT; its header names it too
    plane/wire/tree/NS/NAME/COMMIT         the answer to /api/models/NS/NAME/tree/COMMIT?recursive=true
    plane/wire/file/NS/NAME/COMMIT/PATH    empty; its headers say where the bytes are and what the hub says of them

Only an object store gives headers of their own to objects, so a folder store has none of these.
"""

import json
from collections.abc import Iterator, Mapping

from registry.bytes.blobs import Keys
from registry.kernel.texts import cursors
from registry.plane.documents import SHORT, Document, Served
from registry.repos import manifest
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
