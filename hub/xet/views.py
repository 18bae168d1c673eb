"""The Xet routes: tickets on the Hub's side, xorbs and shards on the other. The rules are in bytes/intake.py."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from hub import limits
from hub.identity import wire_caller
from hub.origin import origin
from hub.read_only import refuse_below_verified
from hub.server import downloads
from hub.xet import tickets
from hub.xet.answers import xet
from hub.xet.bodies import accepted
from hub.xet.tickets import Scope
from registry.bytes import intake
from registry.bytes.xorbs import MAX_SHARD_BYTES, MAX_XORB_BYTES
from registry.kernel.policy import NOBODY, Caller
from registry.publish import push
from registry.publish.uploads import open_pushes
from registry.repos import lookup, refs

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
        downloads.count(request, repository, caller)
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
        intake.receive_xorb(repository, name, body, by=caller)
    # Always true: whether the bytes were here already would reveal what other repositories hold.
    return JsonResponse({"was_inserted": True})


@xet
@require_POST
def shard(request: HttpRequest) -> HttpResponse:
    with accepted(request, MAX_SHARD_BYTES) as body:
        repository, caller = tickets.redeem(request.headers.get("Authorization", ""), Scope.WRITE)
        intake.receive_shard(
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
