"""The index of Python packages at /simple/: the client of this hub and its format library, by PEP 503, 691 and 714."""

import re
from typing import Any
from urllib.parse import quote

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from hub.about import VERSION
from hub.origin import origin
from hub.packages import wheels
from hub.packages.wheels import PROJECTS, Wheel

API_VERSION = "1.1"
HTML, JSON = "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json"
LATEST = ("latest", "latest.txt", "latest.whl")
# In the order of preference where a client accepts several alike.
ANSWERS = ("text/html", HTML, JSON)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Name the projects."""
    body = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in PROJECTS]}
    return _answer(request, "simple/index.html", body)


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """List the files of a project; empty if no wheel was built."""
    if name not in PROJECTS:
        return _moved(name)
    found = wheels.find(name)
    body = {"meta": {"api-version": API_VERSION}, "name": name, "versions": [wheel.version for wheel in found]}
    return _answer(request, "simple/project.html", {**body, "files": list(map(_describe, found))}, {"wheels": found})


@require_safe
def without_slash(request: HttpRequest, name: str = "") -> HttpResponse:
    """Lead to the address with a slash at its end, which PEP 503 asks for."""
    return _moved(name) if name else HttpResponsePermanentRedirect(reverse("simple"))


def _moved(name: str) -> HttpResponse:
    """Lead to the project of which this is a spelling, by PEP 503. Raises Http404 for any other name."""
    ours = re.sub(r"[-_.]+", "-", name).lower()
    if ours not in PROJECTS:
        raise Http404
    return HttpResponsePermanentRedirect(reverse("simple-project", args=[ours]))


@require_safe
def file(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Send a wheel, its metadata, which an installer reads first, or the requirements that install a release."""
    if name not in PROJECTS:
        raise Http404
    if filename in LATEST or filename.endswith(".txt"):
        return _release(request, name, filename)
    found = wheels.find(name)
    bodies = {wheel.filename: wheel.data for wheel in found}
    bodies |= {f"{wheel.filename}.metadata": wheel.metadata for wheel in found}
    if filename not in bodies:
        raise Http404
    return _uncached(HttpResponse(bodies[filename], content_type="application/octet-stream"))


def _release(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Send the requirements of a release (`0.2.0.txt`), or of this hub's own (`latest.txt`).

    `latest` is one argument by which pip and uv read `latest.txt`; `latest.whl` leads to the wheel, for saving it.
    """
    hub = origin(request)
    lines = wheels.requirements(hub, name, VERSION if filename in LATEST else filename.removesuffix(".txt"))
    if not lines or not lines[-1].startswith(name):
        raise Http404
    if filename == "latest":
        return _text(f"--requirement={hub}/simple/{name}/latest.txt")
    if filename == "latest.whl":
        return _uncached(HttpResponseRedirect(lines[-1].partition(" @ ")[2]))
    return _text("\n".join(lines))


def _text(text: str) -> HttpResponse:
    return _uncached(HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8"))


def _uncached(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-cache"
    return answer


def _describe(wheel: Wheel) -> dict[str, Any]:
    return {
        "filename": wheel.filename,
        "url": quote(wheel.filename),  # relative to this page, so that a hub may lie below a path
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
    return _uncached(answer)


urlpatterns = [
    path("simple", without_slash),
    path("simple/", index, name="simple"),
    path("simple/<name>", without_slash),
    path("simple/<name>/", project, name="simple-project"),
    path("simple/<name>/<filename>", file, name="simple-file"),
]
