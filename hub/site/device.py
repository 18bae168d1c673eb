"""Where a signed-in person lets a program in: the code it shows, and yes or no (RFC 8628, section 3.3)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.site.visitor import caller, person
from registry.kernel.errors import RegistryError
from registry.people import devices


@require_http_methods(["GET", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """GET asks for the code, or with one for the decision; only the POST that follows decides."""
    person(request)
    typed = (request.POST if request.method == "POST" else request.GET).get("code", "")
    if not typed:
        return render(request, "site/device.html")
    try:
        if request.method == "GET":
            waiting = devices.waiting(typed)
            shown = {"waiting": waiting, "code": devices.spell(waiting.user_code), "minutes": devices.SECONDS // 60}
            return render(request, "site/device.html", shown | {"days": devices.TOKEN_DAYS})
        return render(request, "site/device.html", {"done": _decided(request, typed)})
    except RegistryError as error:
        return render(request, "site/device.html", {"error": error, "given": typed[:20]}, status=400)


def _decided(request: HttpRequest, typed: str) -> str:
    if request.POST.get("answer") != "approve":
        devices.deny(typed, caller(request))
        return "denied"
    devices.approve(typed, request.POST.get("role", "write"), caller(request))
    return "approved"
