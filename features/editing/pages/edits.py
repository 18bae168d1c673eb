"""Changing one file in the browser: its text with a preview, its name, its deletion."""

import json
from itertools import islice
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from features.editing import examinations
from features.editing.examinations import Examination
from features.editing.pages.commits import CommitWords, after_commit, branch_header, commit, words_for
from hub.errors import http_form
from hub.site.forms import Form, Refusals, name_field
from hub.site.markdown_texts import card_links
from hub.site.measures import size
from hub.site.repository.diff_view import MAX_LINES, NO_ROOM, Patch, numbered
from hub.site.repository.files import MAX_SHOWN, readable_text
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress
from hub.site.words import english
from registry.kernel.errors import FileNotFound, ParentStale, PathInvalid, ValueInvalid
from registry.kernel.texts import names
from registry.models import Repository
from registry.publish.push import Copy, Deletion, Inline
from registry.repos import downloads, pull
from registry.repos.contents import card, diffs
from registry.repos.contents.facts import README
from registry.repos.manifest import Entry


class EditText(Form):
    """The text of a file; `seen` is the sha256 of the file that the person began with, "" for a new one."""

    text = forms.CharField(label=_("Text"), required=False, strip=False, widget=forms.Textarea)
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}

    def __init__(self, data: QueryDict | None, *, text: str, seen: str) -> None:
        super().__init__(data, initial={"text": text, "seen": seen})
        attrs = {"rows": 24, "spellcheck": "false", "class": "code", "autocomplete": "off"}
        self.fields["text"].widget.attrs |= attrs

    @property
    def content(self) -> bytes:
        """The text as it is stored: browsers send line ends of two characters."""
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n")
        return (text if not text or text.endswith("\n") else text + "\n").encode("utf-8", "replace")


class RenameFile(Form):
    path = name_field(_("New path"), _("Include folders, separated by `/`."), maxlength=1024)
    fields_of: ClassVar[Refusals] = {PathInvalid: "path", ValueInvalid: "path"}


NEW_CARD = "# {name}\n\n"


@require_http_methods(["GET", "POST"])
def edit_file(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> HttpResponse:
    """Edit the text of a file, or write a new one; what others committed meanwhile is shown, and never overwritten."""
    header = _readable(request, address, rev)
    entry = header.entries.get(names.check_path(path))
    text = _text(header, path, entry)
    form = EditText(request.POST if request.method == "POST" else None, text=text, seen=entry.sha256 if entry else "")
    words = words_for(request, header, f"Update {path}" if entry else f"Add {path}")
    page: dict[str, Any] = {"path": path, "entry": entry, "form": form, "words": words}
    if not form.is_valid():
        return _page(request, header, page)
    if request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": _preview(header, path, form.content)})
    if form.cleaned_data["seen"] != (entry.sha256 if entry else ""):
        return _conflict(request, header, page, text if entry else "")
    problem, examined = _problem(path, form.content), _examine(header, path, form.content)
    is_good = not problem and not (examined and examined.failed)
    if request.POST.get("commit") and words.is_valid() and (is_good or request.POST["commit"] == "anyway"):
        with words:
            try:
                ref = commit(header, words, [Inline(path, form.content)], header.revision.oid)
            except ParentStale:  # somebody committed within this second; if it was this file, they meet above
                return edit_file(request, address=address, rev=rev, path=path)
            return after_commit(request, header, ref)
    page |= {"problem": problem, "examined": examined, "html": _preview(header, path, form.content)}
    return _page(request, header, page, 400 if request.POST.get("commit") else 200)


@require_http_methods(["GET", "POST"])
def rename_file(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> HttpResponse:
    header, _ = _file(request, address, rev, path)
    form = RenameFile(request.POST if request.method == "POST" else None, initial={"path": path})
    words = words_for(request, header, f"Rename {path}")
    if form.is_valid() and words.is_valid():
        with form, words:
            to = names.check_path(form.cleaned_data["path"])
            if to not in header.entries:
                ref = commit(header, words, [Copy(to, path), Deletion(path)], header.revision.oid)
                return after_commit(request, header, ref)
            taken = gettext("There is already a file {path}. Choose another path, or delete that one first.")
            form.add_error("path", taken.format(path=to))
    return _simple(request, header, path, words, form)


@require_http_methods(["GET", "POST"])
def delete_file(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> HttpResponse:
    header, _ = _file(request, address, rev, path)
    words = words_for(request, header, f"Delete {path}")
    if words.is_valid():
        with words:
            ref = commit(header, words, [Deletion(path)], header.revision.oid)
            return after_commit(request, header, ref)
    return _simple(request, header, path, words)


@require_safe
def new_file(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Lead to the page that writes the file with the path that was typed."""
    header = branch_header(request, address, rev)
    path = request.GET.get("path", "").strip()
    if not path:
        return redirect("tree", header.repository, rev)
    return redirect("edit-file", header.repository, rev, names.check_path(path))


def _readable(request: HttpRequest, address: RepositoryAddress, rev: str) -> RepositoryHeader:
    """Return the header of a branch whose files the person may have. Raises what branch_header and pull raise."""
    header = branch_header(request, address, rev)
    pull.require_files(header.revision, header.by)
    return header


def _file(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> tuple[RepositoryHeader, Entry]:
    """Return the header, and a file that was pushed; what the hub derived from it cannot be changed."""
    header = _readable(request, address, rev)
    entry = header.entries.get(path)
    if entry is None:
        raise FileNotFound(f"{header.repository.full_name} has no file {path[:200]!r} at {rev}.")
    return header, entry


def _text(header: RepositoryHeader, path: str, entry: Entry | None) -> str:
    """Return the text of a file to begin with.

    Raises ValueInvalid for one that is no text, or too large, and FileNotSearched.
    """
    if entry is None:
        return NEW_CARD.format(name=header.repository.name) if path == README else ""
    downloads.require_searched([entry], header.repository, header.by)
    text = None if entry.is_lfs else readable_text(entry)
    if text is None:
        raise ValueInvalid(
            f"{path} cannot be edited here: it is not a text file, or is larger than {MAX_SHOWN:,} bytes.",
            fix="Upload a new version of the file instead.",
        )
    return text


def _examine(header: RepositoryHeader, path: str, content: bytes) -> Examination | None:
    """Return what the static checks say of the adapter that this text changes; None where there is no adapter."""
    if header.repository.type != Repository.Type.MODEL or examinations.describe(header.entries) is None:
        return None
    after = examinations.examine(header.entries, {path: content})
    return after.since(examinations.examine(header.entries, {})) if after.failed else after


def _problem(path: str, content: bytes) -> str:
    """Return the syntax error of a text that programs read, or ""."""
    text = content.decode("utf-8", "replace")
    if len(content) > MAX_SHOWN:
        return gettext("A text larger than {size} cannot be edited here.").format(size=size(MAX_SHOWN))
    if path.endswith(".json"):
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            return format_html(gettext("This is not valid JSON: {error}."), error=english(str(error)))
    if path == README and (reason := card.parse_card(text).problem):
        return format_html(gettext("The front matter cannot be read: {reason}."), reason=english(reason))
    return ""


def _preview(header: RepositoryHeader, path: str, content: bytes) -> str:
    """Return a Markdown text as HTML; "" for other files."""
    if not path.lower().endswith(".md"):
        return ""
    files, pages = card_links(header.repository, header.revision.oid)
    body = card.parse_card(content.decode("utf-8", "replace")).body
    return card.render_card(body, files=files, pages=pages) if body.strip() else ""


def _conflict(request: HttpRequest, header: RepositoryHeader, page: dict[str, Any], theirs: str) -> HttpResponse:
    """Show the text of the person with the newer one beside it; saving it again replaces the newer one knowingly."""
    path, form = page["path"], page["form"]
    mine = form.content.decode()
    lines = list(islice(numbered(diffs.of_lines(theirs, mine)), MAX_LINES + 1))
    is_long = len(lines) > MAX_LINES
    sizes = len(theirs.encode()), len(mine.encode())
    patch = Patch("changed", path, *sizes, [] if is_long else lines, str(NO_ROOM) if is_long else "")
    seen = page["entry"].sha256 if page["entry"] else ""
    page["form"] = EditText(None, text=mine, seen=seen)
    page |= {"conflict": header.revision, "patches": [patch], "html": _preview(header, path, form.content)}
    return _page(request, header, page, 409)


def _page(request: HttpRequest, header: RepositoryHeader, page: dict[str, Any], status: int = 200) -> HttpResponse:
    refusal = page["words"].refusal
    shown = {"header": header, "tab": "files", "is_markdown": page["path"].lower().endswith(".md"), **page}
    return render(request, "editing/edit.html", shown, status=http_form(refusal).status if refusal else status)


def _simple(
    request: HttpRequest, header: RepositoryHeader, path: str, words: CommitWords, form: RenameFile | None = None
) -> HttpResponse:
    """Show the page of a rename, or of a deletion where there is no form."""
    shown = {"header": header, "tab": "files", "path": path, "words": words, "form": form}
    status = max(words.status, form.status if form else 200)
    return render(request, "editing/change_file.html", shown, status=status)
