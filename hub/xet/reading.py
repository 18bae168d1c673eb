"""Reading by Xet: of which pieces a file is made, and the pieces themselves at addresses that need no token."""

from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_GET

from hub.origin import origin
from hub.sending import Unsatisfiable, span
from hub.xet import tickets
from hub.xet.answers import xet
from hub.xet.tickets import Scope
from registry import blobs, pull, xetfiles
from registry.blobs import Keys
from registry.errors import DownloadExpired
from registry.xetfiles import Piece

_SALT = "dovetail.xet.range"
_ENDLESS = 1 << 60


@xet
@require_GET
def reconstruction(request: HttpRequest, file_id: str) -> HttpResponse:
    """Answer the terms of a file, or of the part that Range asks for, and where their bytes are."""
    adapter, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.READ)
    try:
        start, end = span(request.headers.get("Range", ""), _ENDLESS) or (0, _ENDLESS)
        pieces, skip = xetfiles.pieces(adapter, file_id, start, end, by=caller)
    except Unsatisfiable:
        pieces, skip = [], 0
    if not pieces:
        return JsonResponse({"error": "The file ends before this range."}, status=416)
    fetch: dict[str, list[dict[str, object]]] = {}
    for piece in dict.fromkeys(pieces):
        fetch.setdefault(piece.xorb, []).append(_fetch(piece, origin(request)))
    terms = [{"hash": one.xorb, "unpacked_length": one.size, "range": _chunks(one)} for one in pieces]
    answer = JsonResponse({"offset_into_first_range": skip, "terms": terms, "fetch_info": fetch})
    answer["Cache-Control"] = "no-store"
    return answer


def _chunks(piece: Piece) -> dict[str, int]:
    return {"start": piece.start, "end": piece.end}


def _fetch(piece: Piece, here: str) -> dict[str, object]:
    key, seconds = Keys.xorb(piece.xorb), settings.DOWNLOAD_URL_SECONDS
    url = blobs.store().presigned_span(key, piece.first, piece.last, seconds)
    if url is None:
        ticket = signing.dumps([piece.xorb, piece.first, piece.last], salt=_SALT)
        url = f"{here}/xet/v1/ranges?ticket={quote(ticket, safe='')}"
    return {"range": _chunks(piece), "url": url, "url_range": {"start": piece.first, "end": piece.last - 1}}


@xet
@require_GET
def piece(request: HttpRequest) -> HttpResponseBase:
    """Answer the bytes of a xorb that the ticket is for, and no others; a client asks again after 403."""
    try:
        xorb, first, last = signing.loads(
            request.GET.get("ticket", ""), salt=_SALT, max_age=settings.DOWNLOAD_URL_SECONDS
        )
    except signing.BadSignature:
        raise DownloadExpired("This address of a piece is not valid, or its minute is over.") from None
    try:
        start, end = span(request.headers.get("Range", ""), last) or (first, last)
    except Unsatisfiable:
        start, end = last, last
    if not first <= start < end:
        return JsonResponse({"error": f"This address is for the bytes {first} to {last - 1}."}, status=416)
    response = FileResponse(pull.open_object(Keys.xorb(xorb), start, end), content_type="application/octet-stream")
    response.status_code = 206
    response["Content-Length"] = str(end - start)
    response["Content-Range"] = f"bytes {start}-{end - 1}/*"
    response["Cache-Control"] = "private, no-store"
    return response
