"""The Xet routes: tickets on the Hub's side, xorbs, shards and reconstructions on the other.

The rules are in transfers.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial, wraps
from typing import Concatenate, ParamSpec
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from gunicorn.http.errors import ParseException

from features.xet import tickets, transfers
from features.xet.tickets import Scope
from features.xet.transfers import Piece
from features.xet.xorbs import MAX_SHARD_BYTES, MAX_XORB_BYTES
from hub import limits
from hub.addresses import absolute, origin
from hub.answers import refuse, refuse_nul
from hub.errors import of_database
from hub.identity import wire_caller
from hub.limits import Family, Taken
from hub.read_only import refuse_below_verified, refuse_write, viewer
from hub.server import request_bodies
from hub.server.large_bodies import Unsatisfiable, holding, span
from registry.kernel.errors import (
    DownloadExpired,
    LengthRequired,
    PushTooLarge,
    RegistryError,
    TokenInvalid,
    TooOften,
    ValueInvalid,
)
from registry.kernel.policy import NOBODY, Caller
from registry.publish import open_pushes, push
from registry.repos import lookup, pull, refs

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def xet(view: View[P]) -> View[P]:
    """Make a view of the Xet dialect: no cookies, hence no CSRF; catalogue refusals become JSON."""

    @csrf_exempt
    @wraps(view)
    def answering(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        kwargs.pop("store", None)  # it is there for the client's cache alone
        taken: Taken | None = None
        try:
            taken = _counted(request)
            if taken and taken.is_refused:
                raise TooOften(*taken.words)
            refuse_nul(request)
            refuse_write(request)
            return view(request, *args, **kwargs)
        except RegistryError as error:
            answer = refuse(request, error, is_anonymous="Authorization" not in request.headers)
            for header, value in taken.headers().items() if taken and taken.is_refused else ():
                answer[header] = value
            return answer
        except OperationalError as problem:
            return refuse(request, of_database(problem))

    return answering


def _counted(request: HttpRequest) -> Taken | None:
    """Count a request by its ticket's token, else by its caller, else by its address."""
    try:
        token = tickets.token_of(request.headers.get("Authorization", ""))
        return limits.take(request, Family.FILES) if token is None else limits.take_of_token(Family.FILES, token)
    except TokenInvalid:
        return limits.take(request, Family.FILES, _caller_of(request))


def _caller_of(request: HttpRequest) -> Caller:
    try:
        return wire_caller(request)
    except TokenInvalid:
        return NOBODY


class Body:
    """The bytes of a request, and never more of them than the limit."""

    def __init__(self, request: HttpRequest, read: Callable[[int], bytes], limit: int) -> None:
        self._request, self._read = request, read
        self._limit = self._left = limit

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; empty at the end.

        Raises PushTooLarge past the limit, and ValueInvalid when the client went away or its framing is broken.
        """
        try:
            piece = self._read(size)
        except (OSError, ParseException) as error:
            raise ValueInvalid(f"The body of the request ended too early: {error}.") from None
        self._left -= len(piece)
        if self._left < 0:
            raise PushTooLarge(f"The body is larger than {self._limit:,} bytes.")
        return piece

    def drain(self) -> None:
        """Throw away the rest, up to the limit, as long as it comes: a proxy turns an earlier answer into a 502."""
        try:
            with request_bodies.time_limit(self._request):
                while self.read(request_bodies.PIECE):
                    pass
        except RegistryError:
            return


@contextmanager
def accepted(request: HttpRequest, limit: int) -> Iterator[Body]:
    """Yield the body of a request of at most `limit` bytes, and drain it before a refusal travels on.

    Raises PushTooLarge at once for a declared length over the limit (nothing is read then), and LengthRequired where
    only a declared length would tell the end.
    """
    declared = request.META.get("CONTENT_LENGTH") or None
    if declared is None and not request.META.get("wsgi.input_terminated"):
        raise LengthRequired("This server does not accept a body without a length.")
    if declared is not None and int(declared) > limit:
        raise PushTooLarge(f"The body is {int(declared):,} bytes long; {limit:,} are allowed.")
    # A server that ends the input itself hands over chunked bodies whole; Django's own reader stops at length 0.
    whole = declared is None
    body = Body(request, request.META["wsgi.input"].read if whole else partial(request_bodies.read, request), limit)
    try:
        yield body
    except RegistryError:
        body.drain()
        raise


MAX_TELEMETRY_BYTES = 1 << 20


@xet
@require_GET
def ticket(request: HttpRequest, type: str, scope: Scope, full_name: str, rev: str) -> HttpResponse:
    """Answer where xorbs go and the token for it; older clients call the revision `None` when they propose."""
    if scope is Scope.WRITE:
        refuse_below_verified(request)
    caller = _ticket_caller(request, scope)
    repository = lookup.find_at_address(full_name, caller, tickets.PERMISSION[scope], type=type)
    if scope is Scope.WRITE:  # the ticket itself is good for bytes only, which make no revision
        proposes = rev == "None" or request.GET.get("create_pr", "").lower() in {"1", "true"}
        push.require_for(repository, refs.MAIN if rev == "None" else refs.full_ref(rev), caller, propose=proposes)
    else:  # who reads by Xet asks for no bytes at the address where other downloads are counted
        revision = pull.resolve_pulled(repository, rev, viewer(request, caller))
        if (refusal := pull.unserved(revision, caller)) is not None:
            raise refusal
        limits.count_download(request, repository, caller, rev if refs.is_oid(rev) else "")
    value, expires_at = tickets.issue(repository, scope, caller)
    cas_url = f"{origin(request)}/xet/at/{tickets.store_name(scope, caller)}"
    answer = JsonResponse({"accessToken": value, "exp": expires_at, "casUrl": cas_url})
    answer["X-Xet-Access-Token"] = value
    answer["X-Xet-Token-Expiration"] = str(expires_at)
    answer["X-Xet-Cas-Url"] = cas_url
    answer["Cache-Control"] = "no-store"
    return answer


def _ticket_caller(request: HttpRequest, scope: Scope) -> Caller:
    caller = wire_caller(request)
    # A GET that hands out the right to write must not be satisfied by a cookie.
    return NOBODY if caller.token is None and scope is Scope.WRITE else caller


@xet
@require_POST
def xorb(request: HttpRequest, name: str) -> HttpResponse:
    with accepted(request, MAX_XORB_BYTES) as body:
        repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.WRITE)
        limits.take_bytes(caller, int(request.META.get("CONTENT_LENGTH") or MAX_XORB_BYTES))
        open_pushes.hear(repository, caller)
        transfers.receive_xorb(repository, name, body, by=caller)
    # Always true: whether the bytes were here already would reveal what other repositories hold.
    return JsonResponse({"was_inserted": True})


@xet
@require_POST
def shard(request: HttpRequest) -> HttpResponse:
    with accepted(request, MAX_SHARD_BYTES) as body:
        repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.WRITE)
        transfers.receive_shard(
            repository, body, by=caller, count=lambda size: limits.take_bytes(caller, size, "unpacked")
        )
    return JsonResponse({"result": 1})


@xet
@require_POST
def telemetry(request: HttpRequest) -> HttpResponse:
    """Take what hf_xet reports about its transfers, and forget it."""
    with accepted(request, MAX_TELEMETRY_BYTES) as body:
        body.drain()
    return HttpResponse()


@xet
def unknown(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer 404 to the optional Xet routes: hf_xet then sends whole xorbs, and asks for no reconstructions."""
    if request.method == "POST":
        with accepted(request, MAX_SHARD_BYTES) as body:
            body.drain()
    return JsonResponse({"error": "This hub has no such Xet route.", "code": "not-found"}, status=404)


_SALT = "dovetail.xet.piece"  # another one than for the shorter tickets of earlier releases
_ENDLESS = 1 << 60


@xet
@require_GET
def reconstruction(request: HttpRequest, file_id: str, version: int) -> HttpResponse:
    """Answer the terms of a file, or of the part that Range asks for, and where their bytes are."""
    repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.READ)
    try:
        start, end = span(request.headers.get("Range", ""), _ENDLESS) or (0, _ENDLESS)
        pieces, skip = transfers.file_pieces(repository, file_id, start, end, by=caller)
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
        raise DownloadExpired("This URL is invalid or has expired.") from None
    piece = Piece(*fields)
    try:
        start, end = span(request.headers.get("Range", ""), piece.last) or (piece.first, piece.last)
    except Unsatisfiable:
        start, end = piece.last, piece.last
    if not piece.first <= start < end:
        return JsonResponse({"error": f"This address is for the bytes {piece.first} to {piece.last - 1}."}, status=416)
    source = holding(end - start, lambda: transfers.open_piece(piece, start, end))
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
    shard = transfers.shard_for_chunk(repository, name, by=caller)
    if shard is None:
        return JsonResponse({"error": "No chunk with this hash is known to this repository."}, status=404)
    return HttpResponse(shard, content_type="application/octet-stream")


_TICKET = r"^{type}s/(?P<full_name>[^/]+/[^/]+)/xet-{scope}-token/(?P<rev>.+)$"

_TICKETS = [
    re_path(
        _TICKET.format(type=type, scope=scope.value),
        ticket,
        {"type": type, "scope": scope},
        name=f"{scope.value}-token",
    )
    for type in ("model", "dataset", "space")
    for scope in Scope
]
_SERVED = [
    path("v1/xorbs/default/<str:name>", xorb, name="xorb"),
    path("v1/shards", shard, name="shard"),
    path("v1/reconstructions/<str:file_id>", reconstruction, {"version": 1}, name="reconstruction-v1"),
    path("v2/reconstructions/<str:file_id>", reconstruction, {"version": 2}, name="reconstruction-v2"),
    path("v1/chunks/<str:prefix>/<str:name>", chunk, name="chunk"),
    path("v1/ranges", piece_bytes, name="ranges"),
    path("shards", shard),  # hf_xet 1.5
    path("v1/telemetry", telemetry, name="telemetry"),
]
ROUTES: list[URLPattern | URLResolver] = [
    path("api/", include(_TICKETS)),
    path("xet/", include(_SERVED)),
    path("xet/at/<str:store>/", include(_SERVED)),  # what tickets name; see tickets.store_name
    path("v1/telemetry", telemetry),
    path("xet/<path:path>", unknown),
]
WIRE = [path("", include((ROUTES, "xet")))]
