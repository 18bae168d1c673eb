"""The files of a revision: the tree, and one file for reading: its text, or the tensors of its header."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from hub.site.headers import with_store
from hub.site.repository.repository_header import RepositoryHeader, repository_page
from registry.kernel.errors import FileNotFound
from registry.repos import derived, downloads, histories, pull
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

MAX_SHOWN = 256 << 10


def readable_text(entry: Entry) -> str | None:
    """Return the text of a file, or None if it is too large or not text."""
    if entry.size > MAX_SHOWN:
        return None
    data = BlobFile(entry.sha256, entry.size).read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Tensors:
    """The first rows (name, dtype, shape, number of values) of `count` tensors, or why the header is refused."""

    rows: list[tuple[str, str, str, int]]
    count: int
    parameters: int
    problem: str = ""


def tensors_of(entry: Entry) -> Tensors | None:
    """Read the header of a safetensors file; None for every other file."""
    if not entry.path.endswith(".safetensors"):
        return None
    try:
        header = headers.read(BlobFile(entry.sha256, entry.size))  # type: ignore[arg-type]  # all that is used of a BinaryIO
    except HeaderError as error:
        return Tensors([], 0, 0, str(error))
    rows = [
        (name, tensor.dtype, " × ".join(map(str, tensor.shape)) or "scalar", tensor.values)
        for name, tensor in list(header.tensors.items())[:MOST_ROWS]
    ]
    return Tensors(rows, len(header.tensors), header.parameters)


@dataclass(frozen=True, slots=True)
class Row:
    """A file or a folder of the folder shown; a folder has no entry, and the size of all below it."""

    name: str
    path: str
    size: int
    entry: Entry | None


@repository_page
def tree(request: HttpRequest, header: RepositoryHeader, path: str = "") -> HttpResponse:
    path, wanted = path.strip("/"), request.GET.get("q", "").strip()
    entries = {**header.entries, **derived.derived_entries(header.entries)}
    rows = found_rows(entries, wanted) if wanted else rows_of(entries, path)
    if path and not rows and not wanted:
        raise _missing(header, path)
    changed = histories.last_changes(header.revision)
    parts = [part for part in path.split("/") if part]
    shown = {
        "header": header,
        "tab": "files",
        "path": path,
        "wanted": wanted,
        "rows": [(row, changed.get(row.path)) for row in rows],
        "crumbs": [("/".join(parts[: depth + 1]), part) for depth, part in enumerate(parts)],
    }
    return with_store(render(request, "site/files.html", shown))


@repository_page
def blob(request: HttpRequest, header: RepositoryHeader, path: str) -> HttpResponse:
    pull.require_files(header.revision, header.by)
    entry = downloads.find_served(header.revision, path, header.by)
    tensors = tensors_of(entry)
    text = readable_text(entry) if tensors is None else None
    parts = path.split("/")
    shown = {
        "header": header,
        "tab": "files",
        "entry": entry,
        "text": text,
        "tensors": tensors,
        "line_count": range(1, text.count("\n") + (not text.endswith("\n")) + 1) if text else range(0),
        "crumbs": [("/".join(parts[: depth + 1]), part) for depth, part in enumerate(parts[:-1])],
        "name": parts[-1],
    }
    return render(request, "site/file.html", shown)


def rows_of(entries: dict[str, Entry], folder: str) -> list[Row]:
    """Return the direct entries of a folder ("" is the root): folders first, each by name."""
    start = f"{folder}/" if folder else ""
    files: list[Row] = []
    folders: dict[str, int] = {}
    for path, entry in entries.items():
        if not path.startswith(start):
            continue
        name, slash, _ = path[len(start) :].partition("/")
        if slash:
            folders[name] = folders.get(name, 0) + entry.size
        else:
            files.append(Row(name, path, entry.size, entry))
    inside = [Row(name, f"{start}{name}", size, None) for name, size in sorted(folders.items())]
    return inside + sorted(files, key=lambda row: row.name)


def found_rows(entries: dict[str, Entry], wanted: str) -> list[Row]:
    """Return the files of all folders whose path holds the text, in any case; each is named by its whole path."""
    paths = [path for path in sorted(entries) if wanted.lower() in path.lower()]
    return [Row(path, path, entries[path].size, entries[path]) for path in paths]


def _missing(header: RepositoryHeader, path: str) -> FileNotFound:
    return FileNotFound(f"{header.repository.full_name} has no file {path[:200]!r} in this revision.")
