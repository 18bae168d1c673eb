"""Files for a branch: they are stored first, then looked at together with their card, then committed."""

import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
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
from hub.site.headers import with_store
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress
from registry.kernel import capacity
from registry.kernel.errors import (
    PushTooLarge,
    RegistryError,
    ValueInvalid,
)
from registry.publish import plans, uploads
from registry.publish.plans import Asked
from registry.publish.uploads import Transfer

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
