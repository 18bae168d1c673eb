"""The gate before an adapter's files: asking to be let in, and the owner's page of requests."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.errors import status_with
from hub.site.converters import RepositoryAddress
from hub.site.head import Head
from hub.site.visitor import caller, person
from registry.kernel import ids
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.policy import Permission
from registry.models import AccessRequest
from registry.people import gates
from registry.repos import lookup, pull
from registry.talk import alerts

SHOWN = 100  # requests of one state on a page; clients list them all


@require_POST
def ask(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Ask for the files, and go back to the adapter's page, which says how that stands."""
    repository = lookup.find_at_address(address.full_name, caller(request), Permission.BROWSE, type=address.type)
    person(request)
    gates.ask(repository, caller(request), request.POST.get("text", ""))
    return redirect(repository)


@require_http_methods(["GET", "POST"])
def access(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show who asked and who is in; POST decides one request, lets somebody in, or moves the gate."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, Permission.CONFIGURE, type=address.type)
    head = Head(repository, pull.resolve(repository, "main"), "main", by)
    error = None
    if request.method == "POST":
        try:
            _decide(request, head)
            return redirect("access", repository)
        except RegistryError as refusal:
            error = refusal
    alerts.saw(by.user, [alerts.Kind.ASKED], repository=repository)
    lists = [(status, list(gates.requests(repository, status, by).order_by("-pk")[:SHOWN])) for status in _ORDER]
    shown = {"head": head, "tab": "access", "lists": lists, "error": error}
    return render(request, "site/access.html", shown, status=status_with(error))


_ORDER = (AccessRequest.Status.PENDING, AccessRequest.Status.ACCEPTED, AccessRequest.Status.REJECTED)


def _decide(request: HttpRequest, head: Head) -> None:
    given, by = request.POST, caller(request)
    if "gate" in given:
        gates.set_gate(head.repository, given["gate"], by)
    elif "grant" in given:
        gates.grant(head.repository, given["grant"].strip(), by)
    elif request_id := ids.row(given.get("request", "")):
        gates.decide(
            head.repository,
            given.get("status", ""),
            by,
            request_id=request_id,
            reason=given.get("reason", ""),
        )
    else:
        raise ValueInvalid("The form names nothing to decide.", fix="Use the buttons of the page.")
