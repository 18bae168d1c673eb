"""The files of a revision: the tree, and one file for reading: its text, or the tensors of its header."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from hub.site.forms import Choice, Form, Option, Refusals, text_field
from hub.site.headers import with_store
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_of, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.visitor import person
from registry.kernel import seams
from registry.kernel.errors import FileNotFound, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Ref
from registry.proof.verdicts import requests
from registry.publish import push
from registry.publish.push import Intent, Operation
from registry.repos import derived, downloads, histories, pull, refs
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

BRANCH, PROPOSAL = "branch", "proposal"  # where a commit goes


class CommitWords(Form):
    """The message of a commit, and where it goes: to the branch, or into a pull request."""

    title = text_field(_("Summary"), maxlength=200)
    message = text_field(_("Description"), _("Optional."), required=False, widget=forms.Textarea, rows=3)
    fields_of: ClassVar[Refusals] = {}

    def __init__(self, data: QueryDict | None = None, *, title: str, branch: str, may_write: bool) -> None:
        """`title` is the summary where nobody writes one. Who may not write opens a pull request."""
        super().__init__(data)
        self.default_title, self.may_write = title, may_write
        self.fields["title"].widget.attrs["placeholder"] = title
        self.fields["title"].widget.attrs["required"] = False
        if may_write and seams.has_threads():
            options = [
                (BRANCH, Option(_("Commit to {branch}").format(branch=branch), _("Its verdict starts at once."))),
                (
                    PROPOSAL,
                    Option(_("Open a pull request"), _("Others review it first; it gets its own verdict.")),
                ),
            ]
            self.fields["where"] = Choice(label=_("Where"), initial=BRANCH, options=options, must_answer=False)

    @property
    def summary(self) -> str:
        return str(self.cleaned_data["title"]) or self.default_title

    @property
    def proposes(self) -> bool:
        return not self.may_write or self.cleaned_data.get("where") == PROPOSAL


def ref_of(header: RepositoryHeader) -> str:
    """Return the full name of the branch that a page for changes is about."""
    return refs.full_ref(header.rev)


def branch_header(request: HttpRequest, address: RepositoryAddress, rev: str) -> RepositoryHeader:
    """Return the header of a branch (or a pull request: refs/pr/N) to which the person may commit, or propose a commit.

    Raises SignInRequired, and what `header_of`, refs.resolve_ref and push.require_for raise.
    """
    person(request)
    main = header_of(request, address, Permission.DISCUSS)
    repository, by = main.repository, main.by
    if repository.source:
        raise ValueInvalid(f"{repository.full_name} is mirrored from {repository.source_host}.", fix="Change it there.")
    ref = refs.full_ref(rev)
    push.require_for(repository, ref, by, propose=not main.may_write and ref.startswith(refs.BRANCHES))
    revision = refs.resolve_ref(repository, ref)
    revision.repository = repository
    return RepositoryHeader(repository, revision, rev, by)


def may_change(header: RepositoryHeader) -> bool:
    """Return whether the visitor may commit to the branch that the page shows, or propose a commit."""
    if header.by.user is None or header.repository.source or not header.may(Permission.DISCUSS):
        return False
    has_way = header.may_write or seams.has_threads()  # others propose a commit as a pull request
    return has_way and header.repository.refs.filter(name=refs.BRANCHES + header.rev).exists()


def words_for(request: HttpRequest, header: RepositoryHeader, title: str) -> CommitWords:
    """Return the form of a commit's message; `title` is the summary where nobody writes one."""
    data = request.POST if "title" in request.POST else None
    is_proposal = ref_of(header).startswith(refs.PULL_REQUESTS)  # to which its author may commit
    words = CommitWords(data, title=title, branch=header.rev, may_write=header.may_write or is_proposal)
    if is_proposal or header.is_empty:
        words.fields.pop("where", None)
    return words


def commit(header: RepositoryHeader, words: CommitWords, operations: Iterable[Operation], parent: str = "") -> Ref:
    """Commit as a push does, or open a pull request. Raises what push.receive raises."""
    intent = Intent(
        header.repository,
        ref_of(header),
        header.by,
        title=words.summary,
        message=words.cleaned_data["message"],
        parent=parent,
        propose=words.proposes,
    )
    return push.receive(intent, operations)


def after_commit(request: HttpRequest, header: RepositoryHeader, ref: Ref) -> HttpResponse:
    """Lead to the pull request, or to the verdict of the new version; to the files of one without a verdict."""
    if ref.name.startswith(refs.PULL_REQUESTS):
        return redirect("discussion", header.repository, int(ref.name.removeprefix(refs.PULL_REQUESTS)))
    if ref.revision == header.revision:
        messages.info(request, gettext("Nothing changed: the files are the same."))
    elif requests.latest(ref.revision) is not None:
        return redirect("verdict", header.repository, header.rev)
    return redirect("tree", header.repository, header.rev)


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
        "may_change": may_change(header),
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
        "may_change": path in header.entries and may_change(header),
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
