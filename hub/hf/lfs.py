"""The Git LFS batch protocol (basic transfer): what to deliver where, the delivery itself, and its confirmation."""

from urllib.parse import quote

from django.http import HttpRequest, HttpResponse

from hub.errors import face
from hub.hf import bodies
from hub.hf.dialect import Route, answer
from hub.hf.shapes import JSON
from hub.origin import origin
from registry import uploads
from registry.errors import NotSupported, ValueInvalid
from registry.policy import Permission
from registry.uploads import Offer

CONTENT_TYPE = "application/vnd.git-lfs+json"


class Batch(Route):
    """POST /{id}.git/info/lfs/objects/batch"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        adapter = self.adapter(ns, name, Permission.PUSH)
        body = bodies.json_object(request)
        operation = bodies.text(body, "operation")
        if operation != "upload":
            raise NotSupported(
                f"The LFS operation {operation[:40]!r} is not served.", fix="Download files at /resolve/ instead."
            )
        if bodies.text(body, "hash_algo", "sha256") != "sha256":
            raise ValueInvalid("LFS objects are named by their sha256 here.", fix="Use hash_algo sha256.")
        asked = [(bodies.text(item, "oid"), bodies.whole(item, "size")) for item in bodies.objects(body, "objects")]
        offers = uploads.offer(adapter, asked, by=self.caller)
        here = f"{origin(request)}/api/lfs/uploads"
        objects = [_shown(one, here) for one in offers]
        response = answer({"transfer": "basic", "hash_algo": "sha256", "objects": objects})
        response["Content-Type"] = CONTENT_TYPE
        return response


def _shown(offer: Offer, here: str) -> JSON:
    shown: JSON = {"oid": offer.sha256, "size": offer.size}
    if offer.refusal:
        shown["error"] = {"code": face(offer.refusal).status, "message": f"{offer.refusal.detail} {offer.refusal.fix}"}
    elif offer.ticket:
        ticket = quote(offer.ticket, safe="")
        shown["authenticated"] = True
        shown["actions"] = {
            "upload": {"href": offer.url or f"{here}?ticket={ticket}", "header": {}},
            "verify": {"href": f"{here}/verify?ticket={ticket}", "header": {}},
        }
    return shown


class Upload(Route):
    """PUT /api/lfs/uploads?ticket=…: clients send no headers here, the ticket is the right to deliver"""

    def put(self, request: HttpRequest) -> HttpResponse:
        bodies.refuse_encoded(request)
        length = bodies.declared_length(request)
        uploads.accept(request.GET.get("ticket", ""), bodies.pieces(request), length)
        return answer({})


class Verify(Route):
    """POST /api/lfs/uploads/verify?ticket=…"""

    def post(self, request: HttpRequest) -> HttpResponse:
        bodies.json_object(request)
        uploads.verify(request.GET.get("ticket", ""))
        return answer({})
