"""Files for a branch: they are stored first, then looked at together with their card, then committed."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from django import forms
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dovetail.adapters.convert.mend import Mended
from dovetail.adapters.formats import bases
from dovetail.adapters.formats.description import Description
from features.editing import examinations, remedies, staged_files, weights
from features.editing.examinations import Examination
from features.editing.pages.commits import after_commit, branch_header, commit, ref_of, words_for
from features.editing.remedies import Fix
from features.editing.staged_files import Source, Staged
from hub import limits
from hub.addresses import absolute
from hub.errors import http_form
from hub.server import uploads as form_uploads
from hub.server.uploads import is_too_large, offer_shape
from hub.site.forms import Form, text_field
from hub.site.headers import with_store
from hub.site.markdown_texts import card_links
from hub.site.repository.diff_view import Patch, numbered
from hub.site.repository.files import readable_text
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress
from registry.kernel import capacity
from registry.kernel.errors import PushTooLarge, RegistryError, ValueInvalid
from registry.kernel.texts.plain_yaml import Value
from registry.models import Repository
from registry.publish import plans, uploads
from registry.publish.plans import Asked
from registry.publish.push import Inline, Operation
from registry.publish.uploads import Transfer
from registry.repos import pull
from registry.repos.contents import card, diffs
from registry.repos.contents.card import Card
from registry.repos.contents.facts import README, TASKS
from registry.repos.manifest import Entry

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PART_BYTES = 32 << 20  # of a large file that a browser sends: what is lost when a connection breaks


@require_http_methods(["GET", "POST"])
def add_files(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Take files for a branch: a page to choose them, then a page to look at them and commit."""
    header = branch_header(request, address, rev)
    if request.method != "POST":
        return _choose(request, header)
    try:
        sources = sources_of(request)
    except RegistryError as refusal:
        return _choose(request, header, refusal)
    with capacity.place():
        return _received(request, header, sources)


def upload_offers(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Answer where a script sends the bytes of files, as a batch of Git LFS does; in parts where they are large."""
    try:
        header = branch_header(request, address, rev)
        asked, digests, is_direct = _asked(request)
        plans.decide(header.repository, ref_of(header), asked, by=header.by)
        objects = [(digest, file.size) for digest, file in zip(digests, asked, strict=True)]
        transfer = Transfer(True, PART_BYTES, is_direct)
        offered = uploads.offer(header.repository, objects, by=header.by, transfer=transfer)
        limits.take_bytes(header.by, sum(one.size for one in offered if one.ticket))
    except RegistryError as refusal:
        body = {"detail": refusal.detail, "fix": refusal.fix}
        return JsonResponse(body, status=http_form(refusal).status)
    here = absolute(request, reverse("hf:lfs-upload"))
    return JsonResponse({"objects": [offer_shape(one, here) for one in offered]})


def _asked(request: HttpRequest) -> tuple[list[Asked], list[str], bool]:
    """Return the files that a script asks for, their digests, and whether it can send to the store itself."""
    try:
        body = json.loads(request.body)
        files = [(Asked(str(row["path"]), int(row["size"])), str(row["sha256"])) for row in body["files"]]
        is_direct = bool(body.get("direct", True))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ):  # Python's JSON has Infinity
        raise ValueInvalid("The list of files cannot be read.", fix="Reload the page.") from None
    return [file for file, _ in files], [digest for _, digest in files], is_direct


def _received(request: HttpRequest, header: RepositoryHeader, sources: Sequence[Source]) -> HttpResponse:
    """Store what came with a form, and show all that is staged."""
    try:
        staged = staged_of(request, header, sources)
    except RegistryError as refusal:
        return _choose(request, header, refusal)
    return with_store(review(request, header, staged))


def staged_of(request: HttpRequest, header: RepositoryHeader, sources: Sequence[Source]) -> list[Staged]:
    """Return the files of the list that the form holds, without those to leave out, and those that came with it."""
    left_out = set(request.POST.getlist("leave"))
    sent = request.POST.get("staged", "")
    files = {file.path: file for file in staged_files.parse(sent) if file.path not in left_out} if sent else {}
    where, count = (header.repository, ref_of(header)), partial(limits.take_bytes, header.by)
    if sources or not files:
        files |= {file.path: file for file in staged_files.stage(*where, sources, header.by, count)}
    return staged_files.unpack(*where, list(files.values()), header.by, count)


def sources_of(request: HttpRequest) -> list[Source]:
    """Return the files that came with a form. Raises PushTooLarge if they were dropped for being too large."""
    files = request.FILES.getlist("files")
    if is_too_large(request):
        fix = "Use `hf upload`, or add the files to an empty repository: with JavaScript it takes them in parts."
        raise PushTooLarge(f"The form is too large; the limit is {form_uploads.MAX_FORM_BYTES:,} bytes.", fix=fix)
    return [Source(file.name or "", file.size or 0, _opener(file)) for file in files]


def _opener(file: "UploadedFile[bytes]") -> Callable[[], BinaryIO]:
    """Return a function that opens a file of a form, any number of times at once."""
    if isinstance(file, TemporaryUploadedFile):
        path = Path(file.temporary_file_path())
        return lambda: path.open("rb")
    data = file.read()  # Django keeps small files in memory
    return lambda: io.BytesIO(data)


def _choose(request: HttpRequest, header: RepositoryHeader, refusal: RegistryError | None = None) -> HttpResponse:
    """Show the page to choose files, with what was refused."""
    status = http_form(refusal).status if refusal else 200
    shown = {"header": header, "tab": "files", "refusal": refusal}
    return with_store(render(request, "editing/add_files.html", shown, status=status))


# --- looking at them, and their card --------------------------------------------------------------------------------
def _joined_values(data: dict[str, Value], key: str) -> str:
    value = data.get(key)
    return ", ".join(str(item) for item in (value if isinstance(value, list) else [value]) if item)


def suggested(label: "StrOrPromise", help_text: "StrOrPromise", suggestions: str, **more: Any) -> Any:
    """Return a field for one line of text with suggestions from the list of that id."""
    return text_field(label, help_text, required=False, maxlength=500, list=suggestions, spellcheck="false", **more)


class CardFields(Form):
    """The front matter and the text of a README; other fields of the front matter stay as they are."""

    prefix = "card"
    license = suggested(_("License"), _("SPDX identifier, such as `apache-2.0`."), "licenses")
    task = suggested(_("Task"), _("As in `text-classification`."), "tasks")
    base = suggested(_("Base model"), _("The id of the frozen model, as in `org/name`."), "")
    language = suggested(_("Languages"), _("Codes separated by commas: `en, de`."), "")
    datasets = suggested(_("Training data"), _("Dataset ids separated by commas."), "")
    tags = suggested(_("Tags"), _("Separated by commas."), "")
    text = text_field(
        _("Card text"),
        _("Markdown: what it is for, how it was trained, where it fails."),
        required=False,
        widget=forms.Textarea,
        rows=12,
        maxlength=200_000,
    )

    WORDS: ClassVar[dict[str, str]] = {"license": "license", "task": "pipeline_tag", "base": "base_model"}
    LISTS: ClassVar[dict[str, str]] = {"language": "language", "datasets": "datasets", "tags": "tags"}
    licenses: ClassVar[list[str]] = list(bases.LICENSES)
    tasks: ClassVar[tuple[str, ...]] = TASKS

    def __init__(self, data: QueryDict, card: Card, *, base: str, task: str) -> None:
        """Begin with a card; `base` and `task` are what the files state."""
        self.kept, self.before = dict(card.data), card.body.strip()
        initial = {name: _joined_values(self.kept, key) for name, key in {**self.WORDS, **self.LISTS}.items()}
        initial |= {"base": initial["base"] or base, "task": initial["task"] or task, "text": self.before}
        super().__init__(data if "card-text" in data else None, initial=initial)

    @property
    def body(self) -> str:
        """The text with the line ends of files, not of browsers."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n").strip() + "\n"

    @property
    def is_changed(self) -> bool:
        """True if the card differs from the one that it began with."""
        return self.front_matter != self.kept or self.body.strip() != self.before

    @property
    def front_matter(self) -> dict[str, Value]:
        """The front matter with the fields as they were filled in; empty ones are left out."""
        given = self.cleaned_data
        data = dict(self.kept)
        data |= {key: given[name] for name, key in self.WORDS.items() if given[name] != _joined_values(self.kept, key)}
        for name, key in self.LISTS.items():
            if given[name] != _joined_values(self.kept, key):  # else it stays as it is: one word, or a list
                data[key] = [word.strip() for word in given[name].split(",") if word.strip()]
        return {key: value for key, value in data.items() if value not in ("", [], None)}


NO_ADAPTER = Examination(None)
MAX_SHOWN = 200  # files


def review(
    request: HttpRequest, header: RepositoryHeader, staged: Sequence[Staged], patches: Sequence[Patch] = ()
) -> HttpResponse:
    """Show what the staged files are, or commit them with their card if the person says so.

    `patches` are what was fixed in them just now, the card as it was typed among them.
    """
    planned = staged_files.entries(header.repository, ref_of(header), staged, header.by)
    entries = readable(header, staged, planned)
    words = words_for(request, header, _title(header, staged))
    fields = _card_fields(QueryDict() if patches else request.POST, header, staged, entries)
    changed = card_of(fields)
    if request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": _preview(header, changed)})
    if "commit" in request.POST and words.is_valid() and (fields is None or fields.is_valid()):
        with words:
            ref = commit(header, words, _operations(staged, planned, changed))
            return after_commit(request, header, ref)
    is_model = header.repository.type == Repository.Type.MODEL
    page = shown(staged, entries, changed, is_model=is_model) | {
        "header": header,
        "tab": "files",
        "words": words,
        "fields": fields,
        "staged_list": staged_files.listed(staged),
        "replaced": {file.path for file in staged if file.path in header.entries},
        "patches": patches,
        "html": _preview(header, changed) if "preview" in request.POST else "",
    }
    return render(request, "editing/review.html", page, status=words.status)


def shown(
    staged: Sequence[Staged], entries: dict[str, Entry], changed: dict[str, bytes], *, is_model: bool = True
) -> dict[str, object]:
    """Return what a page shows of staged files; `entries` are all files after their commit, but for `changed` ones."""
    return {
        "staged": staged[:MAX_SHOWN],
        "more": max(0, len(staged) - MAX_SHOWN),
        "size": sum(file.size for file in staged),
        "examined": examinations.examine(entries, changed) if is_model and entries else NO_ADAPTER,
        "is_model": is_model,
        "entries": entries,
        "waits": True,  # the files wait for their commit, where what is fixed in them is no commit yet
    }


def _title(header: RepositoryHeader, staged: Sequence[Staged]) -> str:
    if header.is_empty:
        return staged_files.FIRST_TITLE
    return f"Add {staged[0].path}" if len(staged) == 1 else f"Add {len(staged)} files"


def typed_card(
    request: HttpRequest, header: RepositoryHeader, staged: Sequence[Staged], entries: dict[str, Entry]
) -> dict[str, bytes]:
    """Return the README as it was filled in; nothing where it is as it was, or not asked for."""
    return card_of(_card_fields(request.POST, header, staged, entries))


def _card_fields(
    data: QueryDict, header: RepositoryHeader, staged: Sequence[Staged], entries: dict[str, Entry]
) -> CardFields | None:
    """Return the form of the card; None where one is there that these files do not touch."""
    if README in header.entries and all(file.path != README for file in staged):
        return None
    is_model = header.repository.type == Repository.Type.MODEL
    return fields_of(data, staged, examinations.describe(entries) if is_model else None)


def fields_of(data: QueryDict, staged: Sequence[Staged], described: Description | None) -> CardFields:
    """Return the form of the card in these files, or of a new one for what they are."""
    readme = next((file for file in staged if file.path == README and file.size <= card.MAX_CARD_BYTES), None)
    parsed = card.parse_card(staged_files.read(readme).decode("utf-8", "replace")) if readme else Card()
    base, task = (described.base or "", described.task or "") if described else ("", "")
    return CardFields(data, parsed, base=base, task=task)


def card_of(fields: CardFields | None) -> dict[str, bytes]:
    """Return the README as it was filled in; nothing where the fields are as they were."""
    if fields is None or not fields.is_valid() or not fields.is_changed:
        return {}
    return {README: remedies.write_card(fields.front_matter, fields.body).encode("utf-8", "replace")}


def _operations(staged: Sequence[Staged], planned: dict[str, Entry], changed: dict[str, bytes]) -> Iterator[Operation]:
    yield from staged_files.operations((file for file in staged if file.path not in changed), planned)
    for path, content in changed.items():
        yield Inline(path, content)


def readable(header: RepositoryHeader, staged: Sequence[Staged], entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the files that the person may have: checks, and the fields of a card, tell what is in them."""
    if pull.may_have_files(header.revision, header.by):
        return entries
    return {file.path: entries[file.path] for file in staged}


def _preview(header: RepositoryHeader, changed: dict[str, bytes]) -> str:
    return preview_of(changed, *card_links(header.repository, header.revision.oid))


def preview_of(changed: dict[str, bytes], files: str = "", pages: str = "") -> str:
    """Return the changed card as HTML; relative addresses in it lie below `files` and `pages`."""
    text = card.parse_card(changed.get(README, b"").decode()).body
    return card.render_card(text, files=files, pages=pages) if text.strip() else ""


def fixed_files(
    repository: Repository | None,
    entries: Mapping[str, Entry],
    staged: Sequence[Staged],
    typed: Mapping[str, bytes],
    id: str,
) -> tuple[list[Staged], list[Patch]]:
    """Return the staged files without what one check found in them, stored, and what was changed.

    `typed` (path → content) is the card as it was filled in: it is fixed like a file, and becomes one.
    """
    waiting = {file.path: file for file in staged}
    for path, raw in typed.items():
        stored = weights.stored(repository, path, partial(_write, raw))
        waiting[path] = Staged(path, stored.sha256, stored.size or 0)
        entries = {**entries, path: staged_files.entry_of(waiting[path], is_lfs=False)}
    found = remedies.compose(entries, [check for check in examinations.examine(entries, {}).checks if check.id == id])
    if found is None:
        return list(staged), []
    files = {path: file for path, file in waiting.items() if path not in found.removed}
    rewritten = {path: one.write for path, one in found.weights.items()}
    for path, write in (rewritten | {path: partial(_write, raw) for path, raw in found.texts.items()}).items():
        stored = weights.stored(repository, path, write)
        files[path] = Staged(path, stored.sha256, stored.size or 0)
    return list(files.values()), list(patches(entries, found))


def _write(raw: bytes, target: BinaryIO) -> None:
    target.write(raw)


def patches(entries: Mapping[str, Entry], found: Fix) -> Iterator[Patch]:
    """Yield the files that a change touches, as a diff."""
    for path, raw in sorted(found.texts.items()):
        before = (readable_text(entries[path]) or "") if path in entries else ""
        lines = list(numbered(diffs.of_lines(before, raw.decode("utf-8", "replace"))))
        yield Patch("changed" if path in entries else "added", path, len(before.encode()), len(raw), lines)
    for path, rewritten in sorted(found.weights.items()):
        old = entries[path].size if path in entries else 0
        new = rewritten.size if isinstance(rewritten, Mended) else old
        why = gettext("Its tensors keep their values.")
        yield Patch("changed" if old else "added", path, old, new, why=why)
    for path in sorted(found.removed):
        yield Patch("removed", path, entries[path].size, 0, why=gettext("It is taken out."))
