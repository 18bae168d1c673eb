"""The client of this hub and its format library as wheels, and their index at /simple/ by PEP 503, 691 and 714."""

import re
import zipfile
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
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

from features.package_index.models import Wheel
from hub.about import VERSION
from hub.addresses import origin

CLIENT = "dovetail-hub"
PROJECTS = ("dovetail-adapters", CLIENT)
FOLDER = Path(settings.ROOT, "client", "dist")  # `ops environments wheel` and the image's build write it


def find(project: str) -> list[Wheel]:
    """Return the wheels of a project, the highest version first: this hub's own, and those of releases that it had.

    A release is kept in the database once it was served: who pinned it goes on, and its name never gets other bytes.
    """
    kept = list(Wheel.objects.filter(project=project).defer("data"))
    names = {wheel.filename for wheel in kept}
    own = [wheel for wheel in built(project) if wheel.filename not in names]
    Wheel.objects.bulk_create([wheel for wheel in own if not wheel.is_development], ignore_conflicts=True)
    return sorted([*kept, *own], key=lambda wheel: wheel.precedence, reverse=True)


def built(project: str) -> list[Wheel]:
    """Return the wheels of a project that lie beside this hub's code; none if they could not be built."""
    paths = FOLDER.glob(f"{project.replace('-', '_')}-[0-9]*-py3-none-any.whl")
    return [_read(project, path, path.stat().st_mtime_ns) for path in paths]


def requirements(hub: str, project: str, release: str = "") -> list[str]:
    """Return what installs a release from the hub at an address: a requirement by address and digest for each wheel.

    The client's has the format library's too. Without a release it is the hub's own, or what a checkout has since then.
    No index is asked for either name, where anybody may have registered it.
    """

    def is_asked_for(wheel: Wheel) -> bool:
        return wheel.public == release if release else wheel.public == VERSION or wheel.is_development

    names = PROJECTS if project == CLIENT else (project,)
    wheels = [next(filter(is_asked_for, find(name)), None) for name in names]
    return [f"{wheel.project} @ {hub}/simple/{wheel.project}/{wheel.link}" for wheel in wheels if wheel]


@cache  # keyed by what changes with each build; it is small
def _read(project: str, path: Path, _changed: int) -> Wheel:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        data = path.read_bytes()
        digest = sha256(data).hexdigest()
        return Wheel(
            project=project,
            filename=path.name,
            sha256=digest,
            size=len(data),
            metadata=archive.read(name),
            data=data,
        )


API_VERSION = "1.1"
HTML, JSON = "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json"
LATEST = ("latest", "latest.txt", "latest.whl")
# In the order of preference where a client accepts several alike.
ANSWERS = ("text/html", HTML, JSON)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Name the projects."""
    body = {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in PROJECTS]}
    return _answer(request, "package_index/index.html", body)


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """List the files of a project; empty if no wheel was built."""
    if name not in PROJECTS:
        return _moved(name)
    found = find(name)
    versions = [wheel.version for wheel in found]
    body = {"meta": {"api-version": API_VERSION}, "name": name, "versions": versions}
    return _answer(
        request, "package_index/project.html", {**body, "files": list(map(_describe, found))}, {"wheels": found}
    )


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
    found = find(name)
    wheel = next((one for one in found if one.filename == filename.removesuffix(".metadata")), None)
    if wheel is None:
        raise Http404
    body = wheel.data if filename == wheel.filename else wheel.metadata
    return _uncached(HttpResponse(bytes(body), content_type="application/octet-stream"))


def _release(request: HttpRequest, name: str, filename: str) -> HttpResponse:
    """Send the requirements of a release (`0.3.0.txt`), or of this hub's own (`latest.txt`).

    `latest` is one argument by which pip and uv read `latest.txt`; `latest.whl` leads to the wheel, for saving it.
    """
    hub = origin(request)
    lines = requirements(hub, name, "" if filename in LATEST else filename.removesuffix(".txt"))
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


def _describe(wheel: Wheel) -> dict[str, object]:
    return {
        "filename": wheel.filename,
        "url": quote(wheel.filename),  # relative to this page, so that a hub may lie below a path
        "hashes": {"sha256": wheel.sha256},
        "requires-python": wheel.requires_python,
        "core-metadata": {"sha256": wheel.metadata_sha256},
        "size": wheel.size,
    }


def _answer(
    request: HttpRequest, template: str, body: Mapping[str, object], more: Mapping[str, object] | None = None
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


WIRE = [
    path("simple", without_slash),
    path("simple/", index, name="simple"),
    path("simple/<name>", without_slash),
    path("simple/<name>/", project, name="simple-project"),
    path("simple/<name>/<filename>", file, name="simple-file"),
]
