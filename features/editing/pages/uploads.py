"""Uploading in the browser: files are stored first, then looked at together with their card, then committed.

A repository that an upload creates is private until its first commit, which makes it public if that was chosen.
"""

import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import urlencode

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.editing import staged_files
from features.editing.pages import reviews
from features.editing.pages.commits import branch_header, ref_of
from features.editing.staged_files import Source, Staged
from hub import limits
from hub.addresses import absolute
from hub.errors import http_form
from hub.server import uploads as form_uploads
from hub.server.uploads import is_too_large, offer_shape
from hub.site.forms import Named, Option, Owned, Refusals, name_field, posted, visibility_field
from hub.site.headers import with_store
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, owners_of_new_repository, person
from registry.kernel import capacity
from registry.kernel.errors import (
    NameInvalid,
    NameProhibited,
    NameReserved,
    NameTaken,
    PushTooLarge,
    RegistryError,
    RepositoryExists,
    ValueInvalid,
)
from registry.kernel.texts.names import Likeness
from registry.people import name_rules
from registry.publish import plans, repositories, uploads
from registry.publish.plans import Asked
from registry.publish.uploads import Transfer
from registry.repos import pull


class NewRepository(Named, Owned):
    name = name_field(_("Name"), _("What it does and its kind, such as `reviews-lora`"), placeholder="reviews-lora")
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only you and members"), _("Everyone else sees “not found”.")),
    )
    fields_of: ClassVar[Refusals] = {
        NameInvalid: "name",
        NameTaken: "name",
        RepositoryExists: "name",
        ValueInvalid: "name",
        NameReserved: "name",
        NameProhibited: "name",
    }

    @property
    def existing(self) -> RepositoryAddress | None:
        """The repository that has this name already, after it was refused for that."""
        if not isinstance(self.refusal, RepositoryExists):
            return None
        return RepositoryAddress("model", f"{self.cleaned_data['owner']}/{self.data['name'].strip()}")

    def like(self, name: str) -> Likeness | None:
        return name_rules.like_repository(name)


PART_BYTES = 32 << 20  # of a large file that a browser sends: what is lost when a connection breaks


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Create a repository and upload its files; without files, lead to the page that takes them."""
    person(request)
    by = caller(request)
    initial = {"owner": request.GET.get("owner", "")}
    form = NewRepository(posted(request), owners=owners_of_new_repository(by), initial=initial)
    if is_too_large(request):  # fields after the files were not read
        form.full_clean()
        form.refuse(_too_large())
    elif form.is_valid():
        given = form.cleaned_data
        with capacity.place(), form:
            sources = _sources(request)
            for archive in filter(lambda source: source.is_archive, sources):
                staged_files.files_in(archive)  # refused before there is a repository
            made = repositories.create(f"{given['owner']}/{given['name']}", by, private=True)
            header = RepositoryHeader(made, pull.resolve(made, "main"), "main", by)
            page = f"{reverse('add-files', args=[made, 'main'])}?{urlencode({'visibility': given['visibility']})}"
            return _received(request, header, sources) if sources else redirect(page)
    return with_store(render(request, "editing/upload.html", {"form": form}, status=form.status))


@require_http_methods(["GET", "POST"])
def add_files(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Take files for a branch: a page to choose them, then a page to look at them and commit."""
    header = branch_header(request, address, rev)
    if request.method != "POST":
        return _choose(request, header)
    try:
        sources = _sources(request)
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
    return with_store(reviews.review(request, header, staged))


def staged_of(request: HttpRequest, header: RepositoryHeader, sources: Sequence[Source]) -> list[Staged]:
    """Return the files of the list that the form holds, without those to leave out, and those that came with it."""
    left_out = set(request.POST.getlist("leave"))
    sent = request.POST.get("staged", "")
    files = {file.path: file for file in staged_files.parse(sent) if file.path not in left_out} if sent else {}
    where, count = (header.repository, ref_of(header)), partial(limits.take_bytes, header.by)
    if sources or not files:
        files |= {file.path: file for file in staged_files.stage(*where, sources, header.by, count)}
    return staged_files.unpack(*where, list(files.values()), header.by, count)


def _sources(request: HttpRequest) -> list[Source]:
    """Return the files that came with a form. Raises PushTooLarge if they were dropped for being too large."""
    files = request.FILES.getlist("files")
    if is_too_large(request):
        raise _too_large()
    return [Source(file.name or "", file.size or 0, _opener(file)) for file in files]


def _too_large() -> PushTooLarge:
    fix = "Turn JavaScript on, which sends files in parts, or use `hf upload`."
    return PushTooLarge(f"The form is too large; the limit is {form_uploads.MAX_FORM_BYTES:,} bytes.", fix=fix)


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
    shown = {"header": header, "tab": "files", "refusal": refusal, "visibility": reviews.visibility(request)}
    return with_store(render(request, "editing/add_files.html", shown, status=status))


@require_http_methods(["GET", "POST"])
def new_repository(request: HttpRequest) -> HttpResponse:
    """Create an empty repository, from the form of the upload."""
    person(request)
    if request.method != "POST":
        return redirect(f"{reverse('upload')}?{request.GET.urlencode()}".rstrip("?"))
    form = NewRepository(request.POST, owners=owners_of_new_repository(caller(request)))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            is_private = given["visibility"] == "private"
            return redirect(
                repositories.create(f"{given['owner']}/{given['name']}", caller(request), private=is_private)
            )
    return with_store(render(request, "editing/upload.html", {"form": form}, status=form.status))
