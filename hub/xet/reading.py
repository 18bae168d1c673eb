"""Reading by Xet: the reconstruction of a file, and the byte ranges of xorbs at signed addresses of this hub."""

from dataclasses import astuple
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from hub.origin import absolute
from hub.server.large_bodies import holding
from hub.server.sending import Unsatisfiable, span
from hub.xet import tickets
from hub.xet.answers import xet
from hub.xet.tickets import Scope
from registry.kernel.errors import DownloadExpired
from registry.repos.delivery import xet_reading
from registry.repos.delivery.xet_reading import Piece

_SALT = "dovetail.xet.piece"  # another one than for the shorter tickets of earlier releases
_ENDLESS = 1 << 60


@xet
@require_GET
def reconstruction(request: HttpRequest, file_id: str, version: int) -> HttpResponse:
    """Answer the terms of a file, or of the part that Range asks for, and where their bytes are."""
    repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.READ)
    try:
        start, end = span(request.headers.get("Range", ""), _ENDLESS) or (0, _ENDLESS)
        pieces, skip = xet_reading.file_pieces(repository, file_id, start, end, by=caller)
    except Unsatisfiable:
        pieces, skip = [], 0
    if not pieces:
        return JsonResponse({"error": "The file ends before this range."}, status=416)
    name, place = _PLACES[version]
    places: dict[str, list[dict[str, object]]] = {}
    ranges = absolute(request, reverse("xet:ranges"))
    for piece in {(one.xorb, one.start, one.end): one for one in pieces}.values():
        places.setdefault(piece.xorb, []).append(place(piece, _address(piece, ranges)))
    terms = [{"hash": one.xorb, "unpacked_length": one.size, "range": _chunks(one)} for one in pieces]
    answer = JsonResponse({"offset_into_first_range": skip, "terms": terms, name: places})
    answer["Cache-Control"] = "no-store"
    return answer


def _chunks(piece: Piece) -> dict[str, int]:
    return {"start": piece.start, "end": piece.end}


def _bytes(piece: Piece) -> dict[str, int]:
    return {"start": piece.first, "end": piece.last - 1}


def _in_v1(piece: Piece, url: str) -> dict[str, object]:
    return {"range": _chunks(piece), "url": url, "url_range": _bytes(piece)}


def _in_v2(piece: Piece, url: str) -> dict[str, object]:
    # One range an address: clients split anyhow.
    return {"url": url, "ranges": [{"chunks": _chunks(piece), "bytes": _bytes(piece)}]}


_PLACES = {1: ("fetch_info", _in_v1), 2: ("xorbs", _in_v2)}


def _address(piece: Piece, ranges: str) -> str:
    return f"{ranges}?ticket={quote(signing.dumps(astuple(piece), salt=_SALT), safe='')}"


@xet
@require_GET
def piece_bytes(request: HttpRequest) -> HttpResponseBase:
    """Answer the bytes of a xorb that the ticket is for, and no others; a client asks again after 403."""
    try:
        fields = signing.loads(request.GET.get("ticket", ""), salt=_SALT, max_age=settings.DOWNLOAD_URL_SECONDS)
    except signing.BadSignature:
        raise DownloadExpired("This address of a piece is not valid, or its minute is over.") from None
    piece = Piece(*fields)
    try:
        start, end = span(request.headers.get("Range", ""), piece.last) or (piece.first, piece.last)
    except Unsatisfiable:
        start, end = piece.last, piece.last
    if not piece.first <= start < end:
        return JsonResponse({"error": f"This address is for the bytes {piece.first} to {piece.last - 1}."}, status=416)
    source = holding(end - start, lambda: xet_reading.open_piece(piece, start, end))
    response = StreamingHttpResponse(source, content_type="application/octet-stream")
    response.status_code = 206
    response["Content-Length"] = str(end - start)
    response["Content-Range"] = f"bytes {start}-{end - 1}/*"
    response["Cache-Control"] = "private, no-store"
    return response


@xet
@require_GET
def chunk(request: HttpRequest, prefix: str, name: str) -> HttpResponse:
    """Answer which kept xorbs hold a chunk, to a client that would send it; 404 where nobody here may tell."""
    repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.READ)
    shard = xet_reading.shard_for_chunk(repository, name, by=caller)
    if shard is None:
        return JsonResponse({"error": "No chunk with this hash is known to this repository."}, status=404)
    return HttpResponse(shard, content_type="application/octet-stream")
