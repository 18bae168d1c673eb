"""The Git LFS batch protocol (basic, and the Hub's multipart): what goes where, the delivery, and its confirmation."""

from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from hub import limits
from hub.answers import answer
from hub.hf import bodies
from hub.hf.dialect import Route
from hub.hf.files.file_answers import file_response
from hub.hf.shapes import JSON
from hub.limits import Family
from hub.origin import absolute
from hub.read_only import refuse_below_verified
from hub.shared.lfs_offers import offer_shape
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Repository
from registry.publish.uploads import uploads
from registry.publish.uploads.uploads import Transfer
from registry.repos.delivery import downloads

CONTENT_TYPE = "application/vnd.git-lfs+json"


class Batch(Route):
    """POST /{id}.git/info/lfs/objects/batch"""

    family = Family.FILES

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        body = bodies.json_object(request)
        operation = bodies.text(body, "operation", "")
        is_download = operation == "download"
        if not is_download:
            refuse_below_verified(request)
        repository = self.repository(ns, name, Permission.DOWNLOAD if is_download else Permission.DISCUSS)
        if operation not in {"upload", "download"}:
            raise ValueInvalid(f"There is no LFS operation {operation[:40]!r}.", fix="Use upload or download.")
        if bodies.text(body, "hash_algo", "sha256") != "sha256":
            raise ValueInvalid("LFS objects are named by their sha256 here.", fix="Use hash_algo sha256.")
        asked = [(bodies.text(item, "oid"), bodies.whole(item, "size")) for item in bodies.objects(body, "objects")]
        if is_download:
            here = absolute(request, reverse("hf:lfs-download"))
            return _batch("basic", self._downloads(repository, asked, here))
        # git-lfs names no transfer when it knows only the basic one.
        in_parts = "multipart" in bodies.strings(body | {"transfers": body.get("transfers") or []}, "transfers")
        offers = uploads.offer(repository, asked, by=self.caller, transfer=Transfer(in_parts))
        limits.take_bytes(self.caller, sum(one.size for one in offers if one.ticket))
        transfer = "multipart" if any(one.cut for one in offers) else "basic"
        here = absolute(request, reverse("hf:lfs-upload"))
        return _batch(transfer, [offer_shape(one, here) for one in offers])

    def _downloads(self, repository: Repository, asked: list[tuple[str, int]], here: str) -> list[JSON]:
        uploads.check_count(asked)
        tickets = downloads.create_tickets(repository, [sha256 for sha256, _ in asked], by=self.caller)
        return [_download(sha256, size, tickets.get(sha256), here) for sha256, size in asked]


def _batch(transfer: str, objects: list[JSON]) -> HttpResponse:
    response = answer({"transfer": transfer, "hash_algo": "sha256", "objects": objects})
    response["Content-Type"] = CONTENT_TYPE
    return response


def _download(sha256: str, size: int, ticket: str | None, here: str) -> JSON:
    fields: JSON = {"oid": sha256, "size": size}
    if ticket is None:
        message = "No file of this repository has this sha256, or you may not download it."
        return fields | {"error": {"code": 404, "message": message}}
    href = f"{here}?ticket={quote(ticket, safe='')}"
    action = {"href": href, "header": {}, "expires_in": downloads.SECONDS}
    return fields | {"authenticated": True, "actions": {"download": action}}


class Download(Route):
    """GET /api/lfs/downloads?ticket=…: the address that a download batch answers"""

    family = Family.FILES

    def get(self, request: HttpRequest) -> HttpResponseBase:
        response = file_response(request, downloads.redeem_ticket(request.GET.get("ticket", "")))
        response["Content-Disposition"] = "attachment"
        return response


class Upload(Route):
    """PUT /api/lfs/uploads?ticket=…: clients send no headers here, the ticket is the right to deliver"""

    family = Family.FILES

    def put(self, request: HttpRequest) -> HttpResponse:
        bodies.refuse_encoded(request)
        length = bodies.declared_length(request)
        uploads.accept(request.GET.get("ticket", ""), bodies.pieces(request), length)
        return answer({})


class Part(Route):
    """PUT /api/lfs/uploads/parts/{number}?ticket=…: one part, whose ETag the completion names again"""

    family = Family.FILES

    def put(self, request: HttpRequest, number: int) -> HttpResponse:
        bodies.refuse_encoded(request)
        length = bodies.declared_length(request)
        etag = uploads.accept_part(request.GET.get("ticket", ""), number, bodies.pieces(request), length)
        response = answer({})
        response["ETag"] = etag
        return response


class Complete(Route):
    """POST /api/lfs/uploads/complete?ticket=…: all parts are there; the ticket is the right to say so, once"""

    family = Family.FILES

    def post(self, request: HttpRequest) -> HttpResponse:
        body, ticket = bodies.json_object(request), request.GET.get("ticket", "")
        uploads.check_ticket(ticket)  # before the body: who has none learns nothing of what belongs there
        parts = bodies.objects(body, "parts")
        etags = [(bodies.whole(one, "partNumber"), bodies.text(one, "etag")) for one in parts]
        uploads.complete(ticket, bodies.text(body, "oid"), etags)
        return answer({})


class Verify(Route):
    """POST /api/lfs/uploads/verify?ticket=…"""

    family = Family.FILES

    def post(self, request: HttpRequest) -> HttpResponse:
        bodies.json_object(request)
        uploads.verify(request.GET.get("ticket", ""))
        return answer({})
