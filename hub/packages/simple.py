"""The index of Python packages at /simple/: the client of this hub and nothing else, as PEP 503, 691 and 714 say it."""

import re
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from hub.about import VERSION
from hub.packages import client_wheel
from hub.packages.client_wheel import PROJECT, Wheel

API_VERSION = "1.1"
HTML, JSON = "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json"
# In the order of preference where a client accepts several alike.
ANSWERS = ("text/html", HTML, JSON)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Name the one project."""
    body = {"meta": {"api-version": API_VERSION}, "projects": [{"name": PROJECT}]}
    return _answer(request, "simple/index.html", body)


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """List the files of the project; empty if the wheel was not built."""
    if name != PROJECT:
        _require_ours(name)
        return HttpResponsePermanentRedirect(reverse("simple-project", args=[PROJECT]))
    wheel = client_wheel.find()
    files = [_describe(wheel)] if wheel else []
    body = {"meta": {"api-version": API_VERSION}, "name": PROJECT, "versions": [VERSION] if wheel else []}
    return _answer(request, "simple/project.html", {**body, "files": files}, {"wheel": wheel})


@require_safe
def without_slash(request: HttpRequest, name: str = "") -> HttpResponse:
    """Lead to the address with a slash at its end, which PEP 503 asks for."""
    if not name:
        return HttpResponsePermanentRedirect(reverse("simple"))
    _require_ours(name)
    return HttpResponsePermanentRedirect(reverse("simple-project", args=[PROJECT]))


def _require_ours(name: str) -> None:
    """Raise Http404 for a name that is no spelling of the project's, by PEP 503."""
    if re.sub(r"[-_.]+", "-", name).lower() != PROJECT:
        raise Http404


@require_safe
def file(request: HttpRequest, filename: str) -> HttpResponse:
    """Send the wheel, or its metadata, which an installer reads first."""
    wheel = client_wheel.find()
    bodies = {wheel.filename: wheel.data, f"{wheel.filename}.metadata": wheel.metadata} if wheel else {}
    if filename not in bodies:
        raise Http404
    return HttpResponse(
        bodies[filename], content_type="application/octet-stream", headers={"Cache-Control": "no-cache"}
    )


def _describe(wheel: Wheel) -> dict[str, Any]:
    return {
        "filename": wheel.filename,
        "url": wheel.filename,  # relative to this page, so that a hub may lie below a path
        "hashes": {"sha256": wheel.sha256},
        "requires-python": wheel.requires_python,
        "core-metadata": {"sha256": wheel.metadata_sha256},
        "size": len(wheel.data),
    }


def _answer(
    request: HttpRequest, template: str, body: dict[str, Any], more: dict[str, Any] | None = None
) -> HttpResponse:
    kind = request.get_preferred_type(ANSWERS) if request.headers.get("Accept") else ANSWERS[0]
    if kind is None:
        return HttpResponse(f"This index is served as {', '.join(ANSWERS)}.", status=406, content_type="text/plain")
    if kind == JSON:
        answer: HttpResponse = JsonResponse(body, content_type=JSON)
    else:
        answer = render(request, template, {**body, "version": API_VERSION, **(more or {})}, content_type=kind)
    answer["Vary"] = "Accept"
    answer["Cache-Control"] = "no-cache"
    return answer


urlpatterns = [
    path("simple", without_slash),
    path("simple/", index, name="simple"),
    path("simple/<name>", without_slash),
    path("simple/<name>/", project, name="simple-project"),
    path(f"simple/{PROJECT}/<filename>", file, name="simple-file"),
]
