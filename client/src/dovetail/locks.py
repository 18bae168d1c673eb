"""The content of a lock, its JSON and its file: adapters pinned to commits, digests of every file, bases and engines.

The file adapters.lock is read without trust and written in one step; no path in it leaves its folder.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dovetail import ids
from dovetail.adapters.results.report import BasePin, EngineVersions, Serving
from dovetail.problems import Problem, usage

VERSION = 1
_OID, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_SERVING = {"engine", "outcome"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class LockedFile:
    """A file and its digest; the size in bytes is None where the hub does not serve it."""

    path: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True)
class LockedBase:
    """A base model as adapters were proven with it; `files` is empty if the hub had another version when locked."""

    id: str
    revision: str
    sha256: str
    files: tuple[LockedFile, ...] = ()


@dataclass(frozen=True)
class LockedAdapter:
    """An adapter at one commit. `asked` is the alias, branch, tag or commit that it was locked by."""

    adapter: str
    asked: str
    revision: str
    folder: str  # below the folder that is synced
    files: tuple[LockedFile, ...]
    state: str = ""  # of its newest finished verdict
    kind: str = ""
    format: str = ""
    base: BasePin | None = None
    engine: EngineVersions | None = None
    serving: tuple[Serving, ...] = ()
    merge_order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """The content of a lock file. `since` is the number in the feed of changes up to which it is current."""

    hub: str
    adapters: tuple[LockedAdapter, ...] = ()
    bases: tuple[LockedBase, ...] = ()
    since: int = 0

    def named(self, names: Sequence[str]) -> tuple[LockedAdapter, ...]:
        """Return the entries of these names, each NS/NAME or NS/NAME@ASKED. Raises Problem for one that is not here."""
        for name in names:
            if not any(_is_named(entry, name) for entry in self.adapters):
                raise usage(f"{name} is not in the lock.", f"Add it: dovetail lock {name}")
        return tuple(entry for entry in self.adapters if any(_is_named(entry, name) for name in names))

    def without(self, entries: Sequence[LockedAdapter]) -> "Lock":
        """Return the lock without these entries, and without bases that no other entry needs."""
        kept = tuple(entry for entry in self.adapters if entry not in entries)
        pins = {(entry.base.id, entry.base.sha256) for entry in kept if entry.base}
        return replace(self, adapters=kept, bases=tuple(b for b in self.bases if (b.id, b.sha256) in pins))

    def with_entry(self, entry: LockedAdapter, base: LockedBase | None) -> "Lock":
        """Return the lock with an entry, in place of the one that was asked for in the same words."""
        same = [old for old in self.adapters if (old.adapter, old.asked) == (entry.adapter, entry.asked)]
        rest = self.without(same)
        bases = {(b.id, b.sha256): b for b in (*rest.bases, *([base] if base else ()))}
        adapters = sorted((*rest.adapters, entry), key=lambda e: (e.adapter.casefold(), e.asked))
        return replace(self, adapters=tuple(adapters), bases=tuple(bases[key] for key in sorted(bases)))

    def text(self) -> str:
        """Return the text of the file: the same lock gives the same bytes."""
        return json.dumps(_document(self), indent=1, ensure_ascii=False) + "\n"


def _is_named(entry: LockedAdapter, name: str) -> bool:
    return name in (entry.adapter, f"{entry.adapter}@{entry.asked}")


# --- JSON ------------------------------------------------------------------------------------------------------------
def _document(lock: Lock) -> dict[str, object]:
    return {
        "lock_version": VERSION,
        "hub": lock.hub,
        "since": lock.since,
        "adapters": [_entry_document(entry) for entry in lock.adapters],
        "bases": [
            {"id": base.id, "revision": base.revision, "sha256": base.sha256, "files": _files_document(base.files)}
            for base in lock.bases
        ],
    }


def _entry_document(entry: LockedAdapter) -> dict[str, object]:
    plain = ("adapter", "asked", "revision", "folder", "state", "kind", "format")
    return {
        **{name: getattr(entry, name) for name in plain},
        "base": entry.base.as_json() if entry.base else None,
        "engine": entry.engine.as_json() if entry.engine else None,
        "serving": [row.as_json() for row in entry.serving],
        "merge_order": list(entry.merge_order),
        "files": _files_document(entry.files),
    }


def _files_document(files: Sequence[LockedFile]) -> list[dict[str, object]]:
    return [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files]


def parse(document: Any) -> Lock:
    """Return the lock that a document states. Raises ValueError."""
    _require(isinstance(document, dict), "it is not an object")
    _require(document.get("lock_version") == VERSION, f"its lock_version is not {VERSION}")
    since = document.get("since", 0)
    _require(isinstance(since, int) and since >= 0, "since is not a number")
    return Lock(
        _text(document, "hub", "the lock"),
        tuple(_entry(one) for one in _items(document, "adapters", "the lock")),
        tuple(_base(one) for one in _items(document, "bases", "the lock")),
        since,
    )


def _entry(one: Mapping[str, Any]) -> LockedAdapter:
    adapter = _text(one, "adapter", "an entry")
    asked = _text(one, "asked", adapter)
    return entry_of(one, asked, _text(one, "folder", adapter))


def entry_of(answer: Mapping[str, Any], asked: str, folder: str) -> LockedAdapter:
    """Return the entry that a hub's answer, or an entry of a file, states. Raises ValueError."""
    adapter = _text(answer, "adapter", "an entry")
    revision = _text(answer, "revision", adapter)
    _require(bool(_OID.fullmatch(revision)), f"the revision of {adapter} is not a commit id")
    base, engine = answer.get("base"), answer.get("engine")
    return LockedAdapter(
        adapter,
        asked,
        revision,
        folder,
        files=tuple(_sized_file(one, adapter) for one in _items(answer, "files", adapter)),
        state=str(answer.get("state") or ""),
        kind=str(answer.get("kind") or ""),
        format=str(answer.get("format") or ""),
        base=BasePin.read(base) if isinstance(base, dict) and base.get("id") else None,
        engine=EngineVersions.read(engine) if isinstance(engine, dict) else None,
        serving=tuple(Serving.read(row) for row in _items(answer, "serving", adapter) if row.keys() >= _SERVING),
        merge_order=tuple(map(str, answer.get("merge_order") or ())),
    )


def base_of(answer: Mapping[str, Any]) -> LockedBase | None:
    """Return the base that a hub's answer names. Raises ValueError."""
    base = answer.get("base")
    return _base(base) if isinstance(base, dict) and base.get("id") and base.get("sha256") else None


def _base(one: Mapping[str, Any]) -> LockedBase:
    id = _text(one, "id", "a base")
    return LockedBase(
        id,
        str(one.get("revision") or ""),
        str(one.get("sha256") or ""),
        tuple(_file(file, id) for file in _items(one, "files", id)),
    )


def _sized_file(one: Mapping[str, Any], of: str) -> LockedFile:
    file = _file(one, of)
    _require(file.size is not None, f"a file of {of} has no size")
    return file


def _file(one: Mapping[str, Any], of: str) -> LockedFile:
    path, sha256, size = one.get("path"), one.get("sha256"), one.get("size")
    _require(isinstance(path, str), f"a file of {of} has no path")
    _require(isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256)), f"a file of {of} has no sha256")
    _require(size is None or (type(size) is int and size >= 0), f"a file of {of} has no size")
    return LockedFile(str(path), str(sha256), size)


def _items(document: Mapping[str, Any], key: str, of: str) -> list[Any]:
    items = document.get(key) or []
    _require(isinstance(items, list) and all(isinstance(one, dict) for one in items), f"{key} of {of} is not a list")
    return items


def _text(document: Mapping[str, Any], key: str, of: str) -> str:
    value = document.get(key)
    _require(isinstance(value, str) and 0 < len(value) <= 300, f"{key} of {of} is missing")
    _require(not _CONTROL.search(str(value)), f"{key} of {of} contains control characters")
    return str(value)


def _require(is_right: bool, why: str) -> None:
    if not is_right:
        raise ValueError(why)


@dataclass(frozen=True)
class Source:
    """A file, and the repository and revision whose Hub route has its bytes."""

    repository: str
    revision: str
    file: LockedFile

    @property
    def route(self) -> str:
        return f"/{quote(self.repository)}/resolve/{self.revision}/{quote(self.file.path)}"


NAME, OTHER_NAME = "adapters.lock", "dovetail.lock"
MAX_BYTES = 256 << 20


def find_file(given: Path | None = None) -> Path:
    """Return the lock file to read: the given one, adapters.lock or dovetail.lock. Raises Problem if there is none."""
    for place in [given] if given else [Path(NAME), Path(OTHER_NAME)]:
        if place.is_file():
            return place
    raise usage(f"There is no lock file {given or NAME}.", "Write one: dovetail lock NS/NAME@ALIAS")


def read_file(place: Path) -> Lock:
    """Return the lock that a file holds. Raises Problem for a malformed one, and for paths that lead out of it."""
    with place.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
        lock = parse(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise _broken(str(place), str(error)) from None
    check_places(lock, str(place))
    return lock


def write_file(lock: Lock, place: Path) -> None:
    """Write a lock file in one step: a reader sees the old one or the new one."""
    check_places(lock, "The hub")
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=place.parent, prefix=f".{place.name}-", delete=False
    ) as out:
        try:
            out.write(lock.text())
            out.flush()
            os.fsync(out.fileno())
            Path(out.name).chmod(0o666 & ~_umask())
            Path(out.name).replace(place)
        finally:
            Path(out.name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


# --- places ----------------------------------------------------------------------------------------------------------
def adapter_places(lock: Lock) -> Iterator[tuple[str, LockedFile]]:
    """Yield each file of each adapter with its place below the synced folder."""
    for entry in lock.adapters:
        for file in entry.files:
            yield f"{entry.folder}/{file.path}", file


def check_places(lock: Lock, source: str) -> None:
    """Raise Problem for a folder or path that must not be written, and for two that collide."""
    folders = [str(path) for path in ids.check_paths((entry.folder for entry in lock.adapters), source)]
    for base in lock.bases:
        ids.check_paths((base.id, *(f"{base.id}/{file.path}" for file in base.files)), source)
    checked = [str(path) for path in ids.check_paths((place for place, _ in adapter_places(lock)), source)]
    above = {str(folder).casefold() for path in checked for folder in _folders(path)}
    for path in checked:
        if path.casefold() in above:
            raise ids.unsafe(path, "it is a file and a folder", source)
    for folder in folders:
        if folder.startswith("."):
            raise ids.unsafe(folder, "a folder that begins with a dot is reserved", source)
        inside = {other.casefold() for other in folders if other != folder}
        if any(above_it.casefold() in inside for above_it in _folders(folder)):
            raise ids.unsafe(folder, "it is in the folder of another adapter", source)


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _broken(place: str, why: str) -> Problem:
    return Problem(
        f"{place} is not a lock file of this version: {why}.",
        "Write it again: dovetail lock NS/NAME@ALIAS …",
        code="client-lock-broken",
    )
